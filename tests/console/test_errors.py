"""Error pages."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from changegate.console.errors import PAGES, PASSING
from changegate.errors import ChangegateError
from changegate.extensions import db
from tests.console.conftest import SignIn
from tests.console.visitor import Visitor


def test_an_unknown_page_is_a_404(visitor: Visitor) -> None:
    answer = visitor.open("/nowhere/<script>")
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text
    assert "<script>" not in answer.text.partition("<body")[2]
    assert "Filter navigator" not in answer.text


def test_an_unknown_page_is_a_404_with_the_navigator_after_sign_in(admin: Visitor) -> None:
    answer = admin.open("/nowhere")
    assert answer.status_code == 404
    assert "Filter navigator" in answer.text


def test_a_form_without_its_token_is_refused(admin: Visitor) -> None:
    answer = admin.client.post("/inbound-integrations/new/jwt-bearer", data={"name": "x"})
    assert answer.status_code == 400
    assert "The CSRF token is missing." in answer.text


def test_a_form_with_a_foreign_token_is_refused(admin: Visitor) -> None:
    assert admin.client.post("/logout", data={"csrf_token": "x.y.z"}).status_code == 400
    assert admin.open("/").status_code == 200


def test_a_login_without_its_token_is_refused(visitor: Visitor) -> None:
    assert visitor.client.post("/login", data={"user_name": "admin"}).status_code == 400


def test_error_pages_have_the_headers_of_pages(visitor: Visitor) -> None:
    headers = visitor.open("/nowhere").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@contextmanager
def database_away(app: Flask) -> Iterator[None]:
    """Let every statement fail as it does when the database cannot be reached."""

    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


@pytest.mark.parametrize(("path", "status"), [("/change-requests", 503), ("/nowhere", 404)])
def test_shows_that_the_database_is_unavailable(app: Flask, admin: Visitor, path: str, status: int) -> None:
    with database_away(app):
        answer = admin.open(path)
    assert answer.status_code == status
    assert "Go to the home page" in answer.text
    assert "Filter navigator" not in answer.text
    assert "SELECT" not in answer.text


@pytest.mark.parametrize("status", sorted(PAGES))
def test_a_page_says_what_went_wrong_and_what_to_do(app: Flask, admin: Visitor, status: int) -> None:
    refused = ChangegateError("The printer is on fire.")
    refused.status = status

    def refuse() -> str:
        raise refused

    app.view_functions["home.home_view"] = refuse
    answer = admin.open("/?a=b")
    title, advice = PAGES[status]
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert advice in answer.text
    assert ("The printer is on fire." in answer.text) is (status != 404)
    assert ('href="/?a=b">Try again</a>' in answer.text) is (status in PASSING)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/records/sys_email", "Only the role admin may read records of the table Email."),
        (
            "/records/change_task/new",
            "Only the roles admin, change_manager, itil and sn_change_write may create records of the table "
            "Change Task.",
        ),
        ("/records/chg_history/new", "No user may create records of the table Change History."),
    ],
)
def test_a_refused_page_names_the_roles_that_open_it(sign_in: SignIn, path: str, sentence: str) -> None:
    answer = sign_in("nora").open(path)
    assert answer.status_code == 403
    assert f"<p>{sentence}</p>" in answer.text
