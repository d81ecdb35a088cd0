"""The REST API Explorer: the OpenAPI document in Swagger UI."""

from collections.abc import Callable

from flask import Blueprint, Response, render_template

from changegate.console.guards import require_login
from changegate.extensions import OPENAPI_DOCUMENT
from changegate.unproxied import current_application

# Key of the function that returns the document, set by the APIs.
bp = Blueprint("api_explorer", __name__, url_prefix="/rest-api-explorer")
bp.before_request(require_login)


@bp.get("")
def explorer_view() -> str:
    """Show every operation; to try one out, users authenticate to the API separately."""
    return render_template("console/api_explorer.html")


@bp.get("/openapi.json")
def document_view() -> Response:
    """Return the document for the page; the console's session is not valid for the APIs."""
    load_document: Callable[[], bytes] = current_application().extensions[OPENAPI_DOCUMENT]
    return Response(load_document(), content_type="application/json")
