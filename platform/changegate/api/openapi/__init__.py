"""The OpenAPI 3.1 document, generated from the tables and schemas that serve the APIs."""

from flask import Blueprint, Response

from changegate.api.auth import require_caller
from changegate.api.envelopes import COMMON, JSON, LOGGED_IN
from changegate.api.openapi.document import load_document

bp = Blueprint("openapi", __name__)
bp.before_request(require_caller)


@bp.get("/openapi.json")
def document_view() -> Response:
    """Return the document; it contains no records, so callers need no role or scope."""
    return Response(load_document(), content_type=JSON, headers=[*COMMON, LOGGED_IN])
