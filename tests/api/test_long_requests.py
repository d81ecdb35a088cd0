"""Requests that take long: how many of one caller may be at work, and how each of them ends."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from changegate.api.auth import require_caller
from changegate.database import LongRequests, connection, request_time
from changegate.database.prepared import fetch_on_driver
from changegate.factory import LONG_REQUESTS
from changegate.services.tables.queries.comparison import MAX_FRAGMENT
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.visitor import Visitor
from tests.support.long_texts import FIELDS, MOST, insert_journals, insert_long_texts, searches
from tests.support.processor import assert_cheap
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

ADMIN = ("6816f79cc0a8016401c5a33be04be441", "")
BATCH = "/api/now/v1/batch"
STATS = "/api/now/stats/change_request"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
REFUSED = (
    "Too many long requests",
    "Long requests of one user and integration at work: 2 allowed; wait until one ends",
)
CANCELLED = ("Transaction cancelled: maximum execution time exceeded", "Ask for less at once")


@pytest.fixture
def api(either_app: Flask) -> TableApi:
    return TableApi(either_app.test_client(), basic("admin", ADMIN_PASSWORD))


@pytest.fixture
def places(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> LongRequests:
    """Let the administrator have all the long requests at work that one user may have, and every other one be long."""
    found: LongRequests = either_app.extensions[LONG_REQUESTS]
    monkeypatch.setattr(found, "after_work", 0.0)
    monkeypatch.setattr(request_time, "LONG_WAIT", 0.0)
    assert [found.take_place(ADMIN), found.take_place(ADMIN)] == [None, None]
    return found


def serve_endless(app: Flask, run: Callable[[], object]) -> None:
    @app.get("/api/now/endless")
    def endless() -> str:
        require_caller()
        return str(run())


def by_cursor() -> object:
    return connection().execute(text(ENDLESS)).all()


def by_driver() -> object:
    return fetch_on_driver(connection(), ENDLESS, [])


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("run", [by_cursor, by_driver])
def test_a_statement_without_a_place_is_interrupted(
    either_app: Flask, api: TableApi, run: Callable[[], object]
) -> None:
    serve_endless(either_app, run)
    answer = api.client.get("/api/now/endless", headers=api.headers)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "2"
    assert error_of(answer) == REFUSED
    assert api.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("run", [by_cursor, by_driver])
def test_a_statement_ends_with_the_time_of_its_request(
    either_app: Flask, api: TableApi, run: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_time, "MAX_EXECUTION_TIME", timedelta(seconds=1))
    serve_endless(either_app, run)
    answer = api.client.get("/api/now/endless", headers=api.headers)

    assert answer.status_code == 400
    assert error_of(answer) == CANCELLED
    assert api.client.get("/readyz").status_code == 200


def test_all_statements_of_a_request_share_its_time(
    either_app: Flask, api: TableApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each alone takes a tenth of it: to look so many times is what takes longer.
    monkeypatch.setattr(request_time, "MAX_EXECUTION_TIME", timedelta(seconds=1))
    few = ENDLESS.replace("FROM n)", "FROM n WHERE i < 200000)")
    serve_endless(either_app, lambda: [connection().execute(text(few)).all() for _ in range(1000)])

    assert error_of(api.client.get("/api/now/endless", headers=api.headers)) == CANCELLED


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("path", [CHANGES, STATS])
def test_a_search_without_a_place_is_refused_and_other_calls_go_on(api: TableApi, path: str) -> None:
    asked = {"sysparm_query": "short_descriptionLIKEx", "sysparm_count": "true"}
    assert error_of(api.client.get(path, query_string=asked, headers=api.headers)) == REFUSED
    change = api.created(short_description="made meanwhile")
    assert result_of(api.get(change["sys_id"]))["short_description"] == "made meanwhile"


@pytest.mark.usefixtures("places")
def test_another_caller_is_served(either_app: Flask, api: TableApi) -> None:
    made = api.client.post(
        "/api/now/table/sys_user", json={"user_name": "bob", "user_password": "bob bob bob"}, headers=api.headers
    )
    assert made.status_code == 201
    bob = TableApi(either_app.test_client(), basic("bob", "bob bob bob"))
    assert bob.page(query="short_descriptionLIKEx").status_code == 200


def test_a_place_that_is_free_again_serves_the_caller(api: TableApi, places: LongRequests) -> None:
    assert api.page(query="short_descriptionLIKEx").status_code == 429
    places.give_back(ADMIN)
    assert api.page(query="short_descriptionLIKEx").status_code == 200
    assert places._at_work == {ADMIN: 1}


@pytest.mark.usefixtures("places")
def test_a_batch_without_a_place_is_refused_as_a_whole(api: TableApi) -> None:
    wanted = [{"id": "1", "method": "GET", "url": CHANGES}]
    answer = api.client.post(BATCH, json={"rest_requests": wanted}, headers=api.headers)
    assert error_of(answer) == REFUSED


def test_a_batch_that_becomes_long_without_a_place_names_the_rest(api: TableApi, places: LongRequests) -> None:
    places.give_back(ADMIN)
    places.after_work = 60.0
    wanted = [{"id": str(at), "method": "GET", "url": "/api/now/long"} for at in range(3)]

    def become_long() -> str:
        assert places.take_place(ADMIN) is None
        places.after_work = 0.0
        return "done"

    api.client.application.add_url_rule("/api/now/long", view_func=become_long)
    answer = api.client.post(BATCH, json={"rest_requests": wanted}, headers=api.headers).get_json()
    assert [served["status_code"] for served in answer["serviced_requests"]] == [200]
    assert answer["unserviced_requests"] == ["1", "2"]


def test_the_requests_of_a_batch_share_its_time(api: TableApi) -> None:
    wanted = [{"id": str(at), "method": "GET", "url": "/api/now/late"} for at in range(3)]

    def be_late() -> str:
        request = request_time.find_request_time()
        assert request is not None
        request._deadline = 0.0
        return "done"

    api.client.application.add_url_rule("/api/now/late", view_func=be_late)
    answer = api.client.post(BATCH, json={"rest_requests": wanted}, headers=api.headers).get_json()
    assert len(answer["serviced_requests"]) == 1
    assert answer["unserviced_requests"] == ["1", "2"]


def test_a_large_page_ends_with_the_time_of_its_request(api: TableApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_time, "MAX_EXECUTION_TIME", timedelta(seconds=-1))
    for shown in ("false", "all"):
        assert error_of(api.page(limit=10_000, display_value=shown)) == CANCELLED


@pytest.mark.usefixtures("places")
def test_people_read_on_a_page_that_they_have_too_many_long_requests(either_app: Flask) -> None:
    visitor = Visitor(either_app.test_client())
    visitor.sign_in("admin", ADMIN_PASSWORD)
    page = visitor.open("/change-requests")
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "2"
    assert REFUSED[1] in page.text


FRAGMENTS = [
    *("LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH", "CONTAINS", "DOES NOT CONTAIN", "=", "!=", "<", ">="),
    *("BETWEEN", "IN", "NOT IN", "SAMEAS", "NSAMEAS", "GT_FIELD", "LT_FIELD"),
]


def _worst(operator: str) -> str:
    if operator.endswith(("SAMEAS", "_FIELD")):
        return "^OR".join(f"{field}{operator}test_plan" for field in FIELDS)
    if operator == "BETWEEN":
        return "^OR".join(f"{field}BETWEEN{'a' * MOST}@{'a' * MOST}b" for field in FIELDS)
    return searches(operator)


def test_no_operator_keeps_a_processor_busy_for_a_second(app: Flask) -> None:
    with app.app_context():
        insert_long_texts(1000)
    api = TableApi(app.test_client(), basic("admin", ADMIN_PASSWORD))

    def ask(query: str) -> None:
        answer = api.page(query=query, limit=1, fields="sys_id")
        assert answer.status_code == 200, (query[:60], answer.text)

    walked = f"assigned_to.nameLIKE{'a' * MOST}^ORparent.descriptionLIKE{'a' * MOST}"
    related = f"RLQUERYchange_task.change_request,>=1^descriptionLIKE{'a' * MOST}^ENDRLQUERY"
    words = f"123TEXTQUERY321={'a' * (MOST - 1)}b"
    sorted_ = "^".join(f"ORDERBY{field}" for field in FIELDS)
    for query in (*map(_worst, FRAGMENTS), walked, related, words, sorted_):
        assert_cheap(partial(ask, query), 1.0)


@pytest.mark.parametrize("path", ["/api/now/table/sys_journal_field", "/api/now/stats/sys_journal_field"])
def test_a_search_in_the_largest_values_looks_at_its_time_every_few_rows(
    app: Flask, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    rows = 200
    with app.app_context():
        insert_journals(rows)
    looks = []
    look = request_time.RequestTime.look
    monkeypatch.setattr(
        request_time.RequestTime, "look", lambda *given, **named: looks.append(1) or look(*given, **named)
    )
    asked = {"sysparm_query": f"valueLIKE{'a' * (MOST - 1)}b", "sysparm_count": "true"}
    answer = app.test_client().get(path, query_string=asked, headers=basic("admin", ADMIN_PASSWORD))

    assert answer.status_code == 200
    assert len(looks) > rows / 50


@pytest.mark.parametrize("operator", ["LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH"])
def test_a_text_to_look_for_has_a_bound_that_the_refusal_names(client: FlaskClient, operator: str) -> None:
    api = TableApi(client, basic("admin", ADMIN_PASSWORD))
    assert api.page(query=f"description{operator}{'x' * MAX_FRAGMENT}").status_code == 200
    refused = api.page(query=f"description{operator}{'x' * (MAX_FRAGMENT + 1)}")
    assert refused.status_code == 400
    assert error_of(refused)[1] == "The query looks for a text of 1001 characters in a field; 1000 are admitted"
