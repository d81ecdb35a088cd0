"""The API of security findings and the overview of inbound integrations."""

from flask import Blueprint, Response

from changegate.api.auth import require_integration_administrator
from changegate.api.envelopes import result_response
from changegate.api.integrations import ADMIN_PREFIX
from changegate.extensions import now
from changegate.schemas import presets
from changegate.schemas.hygiene import AssessmentSchema, OverviewSchema
from changegate.services.hygiene.assessment import assess
from changegate.services.hygiene.overview import get_overview

bp = Blueprint("hygiene", __name__, url_prefix=ADMIN_PREFIX)
bp.before_request(require_integration_administrator)


@bp.get("/findings")
def findings_view() -> Response:
    """Return the score and the findings."""
    return result_response(AssessmentSchema().dump(assess(now(), presets)))


@bp.get("/overview")
def overview_view() -> Response:
    """Return the figures of the overview, the machine identities, and exchanges over time."""
    return result_response(OverviewSchema().dump(get_overview(now(), presets)))
