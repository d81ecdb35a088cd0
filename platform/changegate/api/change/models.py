"""Change models, which are read only here."""

from flask import Response

from changegate.api.auth import require_scope
from changegate.api.change import calls
from changegate.api.change.calls import MODEL, REST_API, bp
from changegate.services.tables.registry import get_table


@bp.get("/change/model")
def list_models_view() -> Response:
    """Return a page of change models."""
    return calls.list_records(get_table(MODEL), require_scope(REST_API, MODEL), order="name")


@bp.get("/change/model/<sys_id>")
def get_model_view(sys_id: str) -> Response:
    """Return a change model."""
    return calls.get_record(get_table(MODEL), require_scope(REST_API, MODEL), sys_id)
