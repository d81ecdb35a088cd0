"""Standard change templates, and the changes that are created from them."""

from flask import Response

from changegate.api.auth import api_call, caller, require_scope
from changegate.api.change import calls
from changegate.api.change.calls import CHANGE, REST_API, TEMPLATE, bp
from changegate.errors import ScopeMissing
from changegate.services.access.caller import Caller
from changegate.services.standard_changes.content import STANDARD
from changegate.services.standard_changes.templates import OfferedTemplate, get_offered
from changegate.services.tables.registry import get_table

# Of a template, callers of this API never decide these fields.
LEFT_OUT = ("description", "implementation_plan", "backout_plan", "test_plan")


@bp.get("/change/standard/template")
def list_templates_view() -> Response:
    """Return a page of templates."""
    return calls.list_records(get_table(TEMPLATE), require_scope(REST_API, TEMPLATE), order="name")


@bp.get("/change/standard/template/<sys_id>")
def get_template_view(sys_id: str) -> Response:
    """Return a template."""
    return calls.get_record(get_table(TEMPLATE), require_scope(REST_API, TEMPLATE), sys_id)


@bp.post("/change/standard/<sys_id>")
def create_from_template_view(sys_id: str) -> Response:
    """Create a change from the current version of a template."""
    creating = [api_call(REST_API, table) for table in (CHANGE, TEMPLATE)]
    if not any(map(caller().permissions.has_scope, creating)):
        raise ScopeMissing(*creating)
    offered = get_offered(sys_id)
    of_path = {"std_change_producer_version": offered.version, "type": STANDARD}
    return calls.create(get_table(CHANGE), _creator(offered), of_path, left_out={*LEFT_OUT, *offered.read_only})


def _creator(offered: OfferedTemplate) -> Caller:
    """Return the caller with the limits of creating changes, or else of using templates that are bound to them."""
    if caller().permissions.has_scope(api_call(REST_API, CHANGE)):
        return require_scope(REST_API, CHANGE)
    who = require_scope(REST_API, TEMPLATE)
    offered.require_bound(who.grant.entity if who.grant else "")
    return who
