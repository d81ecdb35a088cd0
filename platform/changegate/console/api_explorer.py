"""The REST API Explorer: the OpenAPI document in Swagger UI."""

from collections.abc import Callable
from importlib.resources import files

from flask import Blueprint, Response, render_template, send_from_directory

from changegate.console.guards import allow_anyone, require_login
from changegate.errors import RecordNotFound
from changegate.extensions import OPENAPI_DOCUMENT
from changegate.unproxied import current_application

# The files of the Swagger UI package that the page uses; no other file of its folder is served.
SWAGGER_UI = str(files("flask_swagger_ui") / "dist")
SWAGGER_UI_FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})
# Key of the function that returns the document, set by the APIs.
bp = Blueprint("api_explorer", __name__, url_prefix="/rest-api-explorer")
bp.before_request(require_login)
swagger_ui = Blueprint("swagger_ui", __name__, url_prefix="/static/swagger-ui")
swagger_ui.before_request(allow_anyone)


@bp.get("")
def explorer_view() -> str:
    """Show every operation; to try one out, users authenticate to the API separately."""
    return render_template("console/api_explorer.html")


@bp.get("/openapi.json")
def document_view() -> Response:
    """Return the document for the page; the console's session is not valid for the APIs."""
    load_document: Callable[[], bytes] = current_application().extensions[OPENAPI_DOCUMENT]
    return Response(load_document(), content_type="application/json")


@swagger_ui.get("/<filename>")
def swagger_ui_view(filename: str) -> Response:
    """Return a file of Swagger UI; raises `RecordNotFound`."""
    if filename not in SWAGGER_UI_FILES:
        raise RecordNotFound
    return send_from_directory(SWAGGER_UI, filename)
