"""Change requests: the list and the record, with the same access checks as the Table API."""

from collections.abc import Mapping

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.records.list_views import list_page
from changegate.extensions import settings
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import read_record
from changegate.services.tables.registry import get_table

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Details": (
        "number", "type", "state", "category", "priority", "approval", "requested_by", "impact", "risk",
        "opened_by", "urgency", "cmdb_ci", "assignment_group", "assigned_to", "business_service",
        "correlation_id", "short_description", "description",
    ),
    "Planning": ("justification", "implementation_plan", "risk_impact_analysis", "backout_plan", "test_plan"),
    "Schedule": (
        "start_date", "end_date", "cab_required", "work_start", "work_end", "cab_date", "conflict_status",
        "conflict_last_run",
    ),
    "Notes": (
        "close_code", "on_hold", "on_hold_reason", "close_notes", "review_comments", "sys_created_on",
        "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count",
    ),
}  # fmt: skip
# Shown if a token created the change; fields that its provider did not supply are left out.
PROVENANCE = (
    "oauth_entity", "oauth_client_id", "oauth_issuer", "oauth_subject", "oauth_exchange", "source_repository",
    "source_id", "source_ref", "source_commit", "source_workflow", "source_run", "source_actor",
    "source_environment", "source_run_url",
)  # fmt: skip
bp = Blueprint("change_requests", __name__, url_prefix="/change-requests")
bp.before_request(require_login)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of the changes that the user may see."""
    return list_page(get_table("change_request"))


@bp.get("/<sys_id>")
def record_view(sys_id: str) -> str:
    """Show a change; raises `RecordNotFound`."""
    table = get_table("change_request")
    record = read_record(table, caller(), sys_id, _shape())
    provenance = [name for name in PROVENANCE if record[name]["value"]]
    return render_template(
        "console/change_request.html",
        record=record,
        sections=SECTIONS,
        provenance=provenance,
        manages_integrations=caller().permissions.has_role(INTEGRATION_ADMINISTRATORS),
        entries=table.entries,
    )


def _shape(fields: tuple[str, ...] = ()) -> Shape:
    return Shape(settings().base_url, DisplayValue.ALL, exclude_reference_link=True, fields=fields)
