"""Security Findings: the score, the findings that lower it, and links to fix them.

See docs/reference/inbound-integrations.md#console.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import md5
from typing import Any

from flask import Blueprint, g, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import require_integration_administrator
from changegate.console.integrations.tabs import ENDPOINTS
from changegate.console.records.computed_lists import Row, add_computed_table
from changegate.console.records.list_state import query_of
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.extensions import now
from changegate.models.base import Entry
from changegate.schemas import presets
from changegate.services.catalog.access import READ_BY_INTEGRATION_ADMINISTRATORS
from changegate.services.hygiene.assessment import Assessment, assess_reading
from changegate.services.hygiene.finding import ACCOUNT, INTEGRATION, SEVERITIES, Finding
from changegate.services.hygiene.reading import Reading, read_all
from changegate.services.hygiene.score import COSTS
from changegate.services.tables.display.display_values import WireRecord

bp = Blueprint("security_findings", __name__, url_prefix="/machine-identity/findings")
bp.before_request(require_integration_administrator)
# Numbers as in sys_choice, so that the highest comes first.
NUMBERS = {severity: at for at, severity in enumerate(SEVERITIES, start=1)}
ENTRIES: Mapping[str, Entry] = {
    "name": Entry("string", "Subject"),
    "kind": Entry("choice", "Kind of subject", choices={INTEGRATION: "Integration", ACCOUNT: "Machine identity"}),
    "subject": Entry("string", "Client ID or user ID"),
    "severity": Entry("integer", "Severity", choices={str(NUMBERS[name]): SEVERITIES[name] for name in NUMBERS}),
    "sentence": Entry("string", "Finding"),
    "code": Entry("string", "Code"),
    "remedy": Entry("string", "Remedy"),
    "target": Entry("string", "Place of the remedy"),
}


def assessed() -> tuple[Reading, Assessment]:
    """Return what the checks have read and found, once for each request."""
    if "assessed" not in g:
        at = now()
        reading = read_all(at)
        g.assessed = reading, assess_reading(reading, at, presets)
    found: tuple[Reading, Assessment] = g.assessed
    return found


def _rows() -> Iterator[Row]:
    return (_row(finding) for finding in assessed()[1].findings)


def _row(finding: Finding) -> Row:
    key = f"{finding.code} {finding.subject_type} {finding.subject} {finding.sentence}"
    return {
        "sys_id": md5(key.encode(), usedforsecurity=False).hexdigest(),
        "name": finding.name,
        "kind": finding.subject_type,
        "subject": finding.subject,
        "severity": NUMBERS[finding.severity],
        "sentence": finding.sentence,
        "code": finding.code,
        "remedy": finding.remedy,
        "target": finding.target,
    }


def _links(row: Row) -> Mapping[str, str]:
    """Return the paths of the subject, and of the place where the finding can be fixed."""
    if row["kind"] != INTEGRATION:
        url = url_for("machine_identities.list_view", sysparm_query=query_of("user_name", row["subject"]))
        return {"sys_id": url, "remedy": url}
    anchor = row["target"].rpartition("#")[2]
    url = url_for("inbound_integrations.record_view", client_id=row["subject"])
    remedy = url_for(ENDPOINTS[anchor], client_id=row["subject"]) if anchor in ENDPOINTS else f"{url}#{anchor}"
    return {"sys_id": url, "remedy": remedy}


def _context(_records: Sequence[WireRecord]) -> Mapping[str, Any]:
    return {"assessment": assessed()[1], "severities": SEVERITIES, "costs": COSTS}


FINDINGS = add_computed_table(
    "security_finding",
    "Security Finding",
    ENTRIES,
    display_field="name",
    access=READ_BY_INTEGRATION_ADMINISTRATORS,
    rows=_rows,
    links=_links,
)
show_list_with("security_finding", "console/security_findings.html", _context)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show the score and the findings."""
    return list_page(FINDINGS)
