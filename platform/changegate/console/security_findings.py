"""Security Findings: the score, the findings that lower it, and links to fix them.

See docs/reference/inbound-integrations.md#console.
"""

from dataclasses import dataclass

from flask import Blueprint, render_template, url_for

from changegate.console.guards import require_integration_administrator
from changegate.console.integrations.tabs import ENDPOINTS
from changegate.console.machine_identities import MAX_ARGUMENT_LENGTH
from changegate.extensions import now
from changegate.printable import typed
from changegate.schemas import presets
from changegate.services.hygiene.assessment import assess
from changegate.services.hygiene.finding import INTEGRATION, SEVERITIES, Finding
from changegate.services.hygiene.score import COSTS
from changegate.unproxied import current_request

bp = Blueprint("security_findings", __name__, url_prefix="/machine-identity/findings")
bp.before_request(require_integration_administrator)


@dataclass(frozen=True, slots=True)
class LinkedFinding:
    """A finding, with links to its subject and to the place where it can be fixed."""

    finding: Finding
    subject_url: str
    remedy_url: str


@bp.get("")
def list_view() -> str:
    """Show the score and the findings: all, or those of one severity or subject."""
    sent = current_request()
    assessment = assess(now(), presets)
    severity = sent.args.get("severity", "")
    severity = severity if severity in SEVERITIES else ""
    subject = typed(sent.args.get("subject", ""))[:MAX_ARGUMENT_LENGTH]
    shown = [
        _linked(finding)
        for finding in assessment.findings
        if severity in ("", finding.severity) and subject in ("", finding.subject)
    ]
    return render_template(
        "console/security_findings.html",
        assessment=assessment,
        findings=shown,
        severity=severity,
        subject=subject,
        subject_name=shown[0].finding.name if subject and shown else subject,
        severities=SEVERITIES,
        costs=COSTS,
    )


def _linked(finding: Finding) -> LinkedFinding:
    if finding.subject_type != INTEGRATION:
        url = url_for("machine_identities.list_view", user=finding.subject)
        return LinkedFinding(finding, url, url)
    anchor = finding.target.rpartition("#")[2]
    url = url_for("inbound_integrations.record_view", client_id=finding.subject)
    if anchor in ENDPOINTS:
        return LinkedFinding(finding, url, url_for(ENDPOINTS[anchor], client_id=finding.subject))
    return LinkedFinding(finding, url, f"{url}#{anchor}")
