"""The description of everything that is served, generated from what serves it: an OpenAPI 3.1 document."""

from flask import Blueprint, Response

from changegate.api.auth import require_caller
from changegate.api.envelopes import COMMON, JSON, LOGGED_IN
from changegate.api.openapi.document import load_document

bp = Blueprint("openapi", __name__)
bp.before_request(require_caller)


@bp.get("/openapi.json")
def document_view() -> Response:
    """Answer the document; every caller may have it, whatever his roles and scopes: it tells of no record."""
    return Response(load_document(), content_type=JSON, headers=[*COMMON, LOGGED_IN])
