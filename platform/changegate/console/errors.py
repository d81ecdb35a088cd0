"""Error pages."""

from collections.abc import Mapping

from flask import Response, make_response, render_template
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from changegate.console.page_headers import add_page_headers
from changegate.errors import ChangegateError
from changegate.unproxied import current_application

TITLES: Mapping[int, str] = {
    400: "The request is invalid",
    403: "Access denied",
    404: "Not found",
    405: "Method not allowed",
    410: "This link no longer works",
    413: "The request is too large",
    429: "Too many requests",
    503: "Not available at the moment",
}
PAGE = "console/error.html"
FALLBACK_TITLE = "Something went wrong"
NOT_FOUND = "The page or record does not exist, or you do not have access to it."


def render_error(error: ChangegateError) -> Response:
    """Return the page of an error: its status, one sentence, and a link back."""
    facts = {
        "status": error.status,
        "title": TITLES.get(error.status, FALLBACK_TITLE),
        "sentence": NOT_FOUND if error.status == 404 else error.detail or error.message,
    }
    page = _render(facts, is_bare=error.status >= 500 or not _is_signed_in())
    return add_page_headers(make_response(page, error.status))


def _render(facts: dict[str, object], *, is_bare: bool) -> str:
    if not is_bare:
        return render_template(PAGE, is_bare=False, **facts)
    # Not render_template: its context loads the signed-in user from the database, which may be the cause of the error.
    return current_application().jinja_env.get_template(PAGE).render(is_bare=True, **facts)


def _is_signed_in() -> bool:
    # Who is signed in stands in the database, which may be what the error is about.
    try:
        return bool(current_user.is_authenticated)
    except SQLAlchemyError:
        return False
