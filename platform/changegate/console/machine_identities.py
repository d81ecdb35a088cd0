"""Machine Identities: the accounts of automation, their roles, and their last use."""

from flask import Blueprint, render_template

from changegate.console.guards import require_integration_administrator
from changegate.extensions import now
from changegate.printable import typed
from changegate.schemas import presets
from changegate.services.hygiene.assessment import assess_reading
from changegate.services.hygiene.finding import ACCOUNT
from changegate.services.hygiene.identities import identities_of
from changegate.services.hygiene.privileges import HIGH_PRIVILEGES
from changegate.services.hygiene.reading import read_all
from changegate.unproxied import current_request

MAX_ARGUMENT_LENGTH = 100
bp = Blueprint("machine_identities", __name__, url_prefix="/machine-identity/identities")
bp.before_request(require_integration_administrator)


@bp.get("")
def list_view() -> str:
    """List the machine identities: all, those with a high-privilege role, or the one with the given user name."""
    sent = current_request()
    at, user = now(), typed(sent.args.get("user", ""))[:MAX_ARGUMENT_LENGTH]
    is_privileged = "privileged" in sent.args
    reading = read_all(at)
    identities = identities_of(reading)
    shown = [
        identity
        for identity in identities
        if user in ("", identity.account.user_name) and (identity.is_privileged or not is_privileged)
    ]
    findings: dict[str, int] = {}
    for finding in assess_reading(reading, at, presets).findings:
        if finding.subject_type == ACCOUNT:
            findings[finding.subject] = findings.get(finding.subject, 0) + 1
    return render_template(
        "console/machine_identities.html",
        identities=shown,
        total=len(identities),
        user=user,
        is_privileged=is_privileged,
        findings=findings,
        privileges=HIGH_PRIVILEGES,
    )
