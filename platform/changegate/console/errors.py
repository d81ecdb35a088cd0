"""Errors as people see them."""

from collections.abc import Mapping

from flask import Response, make_response, render_template
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from changegate.console.page_headers import add_page_headers
from changegate.errors import ChangegateError, RateLimited

TITLES: Mapping[int, str] = {
    400: "That request cannot be read",
    403: "You may not do this",
    404: "There is nothing here",
    405: "That cannot be done here",
    413: "That is too much at once",
    429: "Too many failed attempts",
    503: "Not available at the moment",
}
FALLBACK_TITLE = "Something went wrong"
NOT_FOUND = "There is no such page or record, or it is not yours to see."


def render_error(error: ChangegateError) -> Response:
    """Answer an error with a page: its status, one sentence, and a way back."""
    sentence = NOT_FOUND if error.status == 404 else error.detail or error.message
    page = render_template(
        "console/error.html",
        status=error.status,
        title=TITLES.get(error.status, FALLBACK_TITLE),
        sentence=sentence,
        is_bare=error.status >= 500 or not _is_signed_in(),
    )
    response = make_response(page, error.status)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return add_page_headers(response)


def _is_signed_in() -> bool:
    # Who is signed in stands in the database, which may be what the error is about.
    try:
        return bool(current_user.is_authenticated)
    except SQLAlchemyError:
        return False
