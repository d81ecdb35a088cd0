"""Windows: when a change of a configuration item is allowed, and when not."""

from typing import Any

from flask import Response

from changegate.api.change.calls import bp
from changegate.api.change.changes import change_call
from changegate.api.envelopes import api_response
from changegate.extensions import now
from changegate.schemas.windows_query import load_windows_parameters
from changegate.services.schedules.freezes import FreezeSubject
from changegate.services.schedules.windows import find_item, list_windows, render_windows
from changegate.unproxied import current_request


@bp.get("/windows")
def windows_view() -> Response:
    """Return the allowed and frozen spans for a configuration item in an environment, and the next opening."""
    change_call()
    params = load_windows_parameters(current_request().query_string)
    item: Any = find_item(params.ci) if params.ci else None
    sys_id = item.sys_id if item else None
    subject = FreezeSubject(frozenset(filter(None, (sys_id,))), params.environment or None)
    start = (params.start or now()).replace(microsecond=0)
    shown = render_windows(list_windows(subject, sys_id, start, start + params.length))
    ci = {"value": sys_id, "display_value": item.name} if item else None
    return api_response({"result": {"ci": ci, "environment": params.environment or None, **shown}})
