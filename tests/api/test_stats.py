"""The Aggregate API over HTTP: docs/reference/other-apis.md#aggregate."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysApiAccessScope
from tests.conftest import basic
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import Integration, TokenDesk

STATS = "/api/now/stats/change_request"


@pytest.fixture
def stats(client: FlaskClient, admin: dict[str, str]) -> Callable[..., TestResponse]:
    def ask(path: str = STATS, *, filters: dict[str, str] | None = None, **params: str) -> TestResponse:
        query = {f"sysparm_{name}": value for name, value in params.items()} | (filters or {})
        return client.get(path, query_string=query, headers=admin)

    return ask


@pytest.fixture
def three(api: TableApi) -> list[dict[str, Any]]:
    return [api.created(priority=priority, short_description=f"p{priority}") for priority in (1, 1, 4)]


@pytest.mark.parametrize(
    "path", [STATS, f"{STATS}/", "/api/now/v1/stats/change_request", "/api/now/v2/stats/change_request"]
)
def test_counts_under_every_path(stats: Callable[..., TestResponse], three: object, path: str) -> None:
    response = stats(path, count="True")
    assert response.status_code == 200
    assert response.get_json() == {"result": {"stats": {"count": "3"}}}


def test_answers_figures_and_groups(stats: Callable[..., TestResponse], three: object) -> None:
    wanted = {"count": "true", "avg_fields": "priority, nonsense", "min_fields": "priority", "max_fields": "state"}
    assert result_of(stats(**wanted, sum_fields="priority", query="priority=1^ORDERBYnumber")) == {
        "stats": {
            "count": "2",
            "avg": {"priority": "1.0000"},
            "min": {"priority": "1"},
            "max": {"state": "-5"},
            "sum": {"priority": "2"},
        }
    }
    groups = result_of(
        stats(
            count="true", group_by="priority", having="count^priority^>^0,count^x^<^9", order_by="count^DESC,priority"
        )
    )
    assert groups == [
        {"stats": {"count": "2"}, "groupby_fields": [{"field": "priority", "value": "1"}]},
        {"stats": {"count": "1"}, "groupby_fields": [{"field": "priority", "value": "4"}]},
    ]
    shown = result_of(stats(group_by="priority", display_value="all", query="priority=4"))
    assert shown[0]["groupby_fields"] == [{"field": "priority", "display_value": "4 - Low", "value": "4"}]


def test_filters_by_names_and_values_beside_the_query(stats: Callable[..., TestResponse], three: object) -> None:
    assert result_of(stats(count="true", filters={"priority": "4 - Low"})) == {"stats": {"count": "1"}}
    narrowed = stats(count="true", query="short_description=p1", filters={"priority": "1", "nonsense": "2", "_": "3"})
    assert result_of(narrowed) == {"stats": {"count": "2"}}


def test_takes_empty_parameters_for_absent_ones(stats: Callable[..., TestResponse], three: object) -> None:
    names = ("query", "avg_fields", "group_by", "having", "order_by", "display_value", "query_category")
    assert result_of(stats(count="true", **dict.fromkeys(names, ""))) == {"stats": {"count": "3"}}


@pytest.mark.parametrize(
    "junk", ["^^^", ",,,", "count", "count^", "a^b^c^d^e^f", "count^a^>^1e999", "\0", "'; DROP TABLE task"]
)
def test_answers_whatever_is_sent(stats: Callable[..., TestResponse], three: object, junk: str) -> None:
    for name in ("query", "avg_fields", "min_fields", "group_by", "having", "order_by", "display_value", "count"):
        response = stats(**{"group_by": "priority", "count": "true", name: junk})
        assert response.status_code == 200, name


def test_refuses_like_the_table_api(app: Flask, stats: Callable[..., TestResponse], add_user: Any) -> None:
    response = stats("/api/now/stats/nonsense", count="true")
    assert response.status_code == 400
    assert error_of(response)[0] == "Invalid table nonsense"
    assert app.test_client().get(STATS).status_code == 401
    add_user("plain")
    headers = basic("plain", "itil itil itil")
    refused = app.test_client().get("/api/now/stats/oidc_provider_configuration?sysparm_count=true", headers=headers)
    assert refused.status_code == 403
    assert error_of(refused) == ("Operation Failed", "ACL Exception Read Failed due to security constraints")


def test_a_token_needs_a_scope_for_statistics(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    path = f"{STATS}?sysparm_count=true"
    assert error_of(desk.call(token, "GET", path))[0] == "Missing required api access scope"
    with desk.app.app_context():
        db.session.query(SysApiAccessScope).update({"rest_api": "now/stats", "http_method": "GET"})
        db.session.commit()
    assert result_of(desk.call(token, "GET", path)) == {"stats": {"count": "0"}}
    assert desk.call(token, "GET", "/api/now/table/change_request").status_code == 403


def test_answers_in_xml_if_nothing_else_is_accepted(client: FlaskClient, admin: dict[str, str], three: object) -> None:
    response = client.get(f"{STATS}?sysparm_count=true", headers={**admin, "Accept": "application/xml"})
    assert response.mimetype == "application/xml"
    assert "<result><stats><count>3</count></stats></result>" in response.text


def test_a_tiny_url_stands_for_a_long_query(client: FlaskClient, admin: dict[str, str], three: object) -> None:
    url = f"{STATS}?sysparm_count=true&sysparm_query=priority%3D4"
    tiny = client.post("/api/now/tinyurl", json={"url": url}, headers=admin).get_json()["result"].partition("?")[2]
    assert result_of(client.get(f"{STATS}?{tiny}", headers=admin)) == {"stats": {"count": "1"}}
