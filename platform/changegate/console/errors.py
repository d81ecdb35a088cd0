"""Error pages."""

from collections.abc import Mapping

from flask import Response, make_response, render_template
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from changegate.console.local_paths import local_path
from changegate.console.page_headers import add_page_headers
from changegate.errors import ChangegateError
from changegate.unproxied import current_application, current_request

# What each status means, and what to do about it.
PAGES: Mapping[int, tuple[str, str]] = {
    400: ("The request is invalid", "Go back, correct what is named above, and send the form again."),
    403: ("Access denied", "Ask an administrator for access, or log in as another user."),
    404: ("Not found", "Check the address, or search the list for the record."),
    405: ("Method not allowed", "Open the page from the navigator, and use its buttons."),
    409: ("Changed by someone else", "Open the record again to see what has changed, and repeat your change."),
    410: ("This link no longer works", "Ask for another one on the login page, or ask an administrator."),
    413: ("The request is too large", "Go back, and shorten the text or choose a smaller file."),
    429: ("Too many requests", "Wait a minute, then try again."),
    500: ("Something went wrong", "Try again later."),
    503: ("Not available at the moment", "Wait a few seconds, then try again."),
}
PASSING = frozenset({429, 500, 503})
PAGE = "console/error.html"
NOT_FOUND = "The page or record does not exist, or you do not have access to it."


def render_error(error: ChangegateError, *, not_found: str = NOT_FOUND) -> Response:
    """Return the page of an error: its status, one sentence (`not_found` of a 404), what to do, and a link."""
    sent = current_request()
    title, advice = PAGES.get(error.status, PAGES[500 if error.status >= 500 else 400])
    facts = {
        "status": error.status,
        "title": title,
        "sentence": not_found if error.status == 404 else error.sentence,
        "advice": advice,
        "again": local_path(sent.full_path.rstrip("?")) if sent.method == "GET" and error.status in PASSING else None,
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
