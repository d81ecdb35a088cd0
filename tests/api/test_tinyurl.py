"""Tiny URLs: docs/reference/other-apis.md#tiny-urls, and the round trip that Ansible makes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysUser, TinyUrl
from changegate.services.tables.queries import tiny_urls
from tests.conftest import Clock, basic
from tests.support.attachment_api import ATTACHMENTS, AttachmentApi
from tests.support.jobs import run_due_jobs
from tests.support.table_api import CHANGES, TableApi, error_of, result_of
from tests.support.token_desk import Integration, TokenDesk

HOST = "https://change.example.com"
UNKNOWN = "sysparm_tiny: no query is kept for you under this token and this path"
UNREADABLE = "Exception while reading request"


@pytest.fixture
def changes(api: TableApi) -> list[dict[str, Any]]:
    return [api.created(short_description=f"number {digit}") for digit in range(3)]


def shorten(api: TableApi, url: object, path: str = "/api/now/tinyurl") -> Any:
    return api.client.post(path, json={"url": url}, headers=api.headers)


def token_of(api: TableApi, url: str) -> str:
    response = shorten(api, url)
    assert response.status_code == 200
    page, _, token = result_of(response).partition("?sysparm_tiny=")
    assert page == "change_request_list.do"
    assert token.isalnum()
    return str(token)


def tiny(api: TableApi, token: str, path: str = CHANGES, method: str = "GET", **params: str) -> Any:
    return api.client.open(path, method=method, query_string={"sysparm_tiny": token, **params}, headers=api.headers)


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
@pytest.mark.parametrize("host", [HOST, "https://another.example:8443", ""])
def test_a_long_query_comes_back_under_its_token(
    api: TableApi, changes: list[dict[str, Any]], host: str, version: str
) -> None:
    path = f"/api/now{version}/table/change_request"
    query = (
        "^".join(["short_description!=nothing"] * 200) + "^short_descriptionINnumber 1,number 2,\u00e9^ORDERBYnumber"
    )
    address = f"{path}?sysparm_query={quote(query)}&sysparm_limit=1&sysparm_offset=1&sysparm_fields=short_description"
    response = tiny(api, token_of(api, host + address), path)
    assert result_of(response) == [{"short_description": "number 2"}]
    assert response.headers["X-Total-Count"] == "2"
    assert response.data == api.client.get(address, headers=api.headers).data


def test_only_the_stored_query_is_used(api: TableApi, changes: list[dict[str, Any]]) -> None:
    token = token_of(api, f"{HOST}{CHANGES}?sysparm_limit=1&sysparm_fields=number")
    response = tiny(api, token, sysparm_limit="2", sysparm_fields="state", number="nothing")
    assert [set(record) for record in result_of(response)] == [{"number"}]
    assert tiny(api, token, method="HEAD").headers["X-Total-Count"] == "3"
    assert result_of(tiny(api, token)) == result_of(response)
    assert len(result_of(tiny(api, ""))) == 3


def test_a_query_may_be_empty_and_a_path_a_record(api: TableApi, changes: list[dict[str, Any]]) -> None:
    path = f"{CHANGES}/{changes[0]['sys_id']}"
    assert len(result_of(tiny(api, token_of(api, CHANGES)))) == 3
    assert result_of(tiny(api, token_of(api, f"{path}?sysparm_fields=number"), f"{path}/")).keys() == {"number"}


def test_a_list_of_files_has_them_too(api: TableApi, changes: list[dict[str, Any]]) -> None:
    files = AttachmentApi(api.client, api.headers)
    for change in changes:
        files.uploaded(change["sys_id"])
    wanted = f"table_sys_idIN{changes[0]['sys_id']},{changes[2]['sys_id']}^" + "^".join(["file_name!=x"] * 200)
    page, _, token = result_of(shorten(api, f"{ATTACHMENTS}?sysparm_query={quote(wanted)}")).partition("?sysparm_tiny=")
    assert page == "sys_attachment_list.do"
    found = result_of(tiny(api, token, ATTACHMENTS))
    assert {one["table_sys_id"] for one in found} == {changes[0]["sys_id"], changes[2]["sys_id"]}
    assert tiny(api, "nonsense", ATTACHMENTS).status_code == 400


def test_a_token_is_for_one_path(api: TableApi, changes: list[dict[str, Any]]) -> None:
    token = token_of(api, f"{HOST}{CHANGES}?sysparm_limit=1")
    for path in ("/api/now/v1/table/change_request", "/api/now/table/sys_user", f"{CHANGES}/{changes[0]['sys_id']}"):
        response = tiny(api, token, path)
        assert response.status_code == 400
        assert error_of(response) == (UNREADABLE, UNKNOWN)


def test_a_token_is_for_one_user(app: Flask, api: TableApi, add_user: Callable[..., str]) -> None:
    add_user("ann", "itil")
    ann = TableApi(app.test_client(), basic("ann", "itil itil itil"))
    response = tiny(ann, token_of(api, f"{HOST}{CHANGES}?sysparm_limit=1"))
    assert (response.status_code, error_of(response)) == (400, (UNREADABLE, UNKNOWN))
    assert tiny(ann, token_of(ann, f"{HOST}{CHANGES}?sysparm_limit=1")).status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "0" * 32, "\0", "\u00e9", "x" * 10_000, "' OR 1=1 --"])
def test_an_unknown_token_is_a_bad_request(api: TableApi, token: str) -> None:
    response = tiny(api, token)
    assert (response.status_code, error_of(response)) == (400, (UNREADABLE, UNKNOWN))


def test_a_token_ends_after_a_day_and_is_then_forgotten(app: Flask, api: TableApi, clock: Clock) -> None:
    first = token_of(api, CHANGES)
    clock.advance(hours=23)
    assert tiny(api, first).status_code == 200
    second = token_of(api, CHANGES)
    assert first != second
    clock.advance(hours=2)
    assert tiny(api, first).status_code == 400
    assert tiny(api, second).status_code == 200
    run_due_jobs(app, "tables.purge_tiny_urls")
    with app.app_context():
        assert db.session.execute(select(func.count()).select_from(TinyUrl)).scalar_one() == 1


def test_a_token_in_a_write_means_nothing(api: TableApi) -> None:
    assert tiny(api, "nonsense", method="POST").status_code == 201


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        ["x"],
        "",
        "nonsense",
        "/login",
        "https://[x",
        "/api/now/tinyurl",
        "/api/now/v3/table/change_request",
        "/api/now/table/",
        "/api/now/attachmentx/1",
        f"{CHANGES}?a=\0",
    ],
)
def test_refuses_a_url_without_records_and_names_the_field(api: TableApi, url: object) -> None:
    response = shorten(api, url)
    assert response.status_code == 400
    message, detail = error_of(response)
    assert message == UNREADABLE
    assert (detail or "").startswith("url: ")


def test_refuses_an_address_of_an_unknown_table(api: TableApi) -> None:
    assert error_of(shorten(api, "/api/now/stats/no_such_table")) == ("Invalid table no_such_table", None)


def test_refuses_an_address_that_is_too_long(api: TableApi) -> None:
    assert shorten(api, f"{CHANGES}?a={'x' * 65_534}").status_code == 200
    for url in (f"{CHANGES}?a={'x' * 65_535}", f"{CHANGES}/{'x' * 300}"):
        assert (
            error_of(shorten(api, url))[1]
            == "url: a path of 255 characters and a query of 65536 are the most that is kept"
        )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}"])
def test_refuses_bodies_without_an_address(api: TableApi, body: bytes) -> None:
    response = api.client.post("/api/now/v2/tinyurl", data=body, headers=api.headers)
    assert response.status_code == 400
    assert error_of(response)[0] == UNREADABLE


READER = {"scopes": ["change_request.create", "change_request.read"]}


def shorten_by(desk: TokenDesk, bearer: str, url: str = f"{CHANGES}?sysparm_limit=1") -> Any:
    return desk.call(bearer, path="/api/now/tinyurl", json={"url": url})


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (CHANGES, "change_request.read or change_request.read_own"),
        ("/api/now/stats/change_request", "change_request.read or change_request.read_own"),
        (ATTACHMENTS, "change_request.read"),
        ("/api/now/v1/table/sys_user", "useraccount"),
    ],
)
def test_a_caller_without_read_access_stores_no_query_and_learns_the_scope(
    desk: TokenDesk, integration: Integration, path: str, scope: str
) -> None:
    refused = shorten_by(desk, desk.token(integration), f"{path}?sysparm_limit=1")
    expected = ("Missing required api access scope", f"This call needs the scope {scope}")
    assert (refused.status_code, error_of(refused)) == (403, expected)


def test_what_a_token_reads_needs_the_scope_of_reading(desk: TokenDesk) -> None:
    reader = desk.register("Reader", **READER)
    bearer = desk.token(reader)
    path = f"{CHANGES}?{result_of(shorten_by(desk, bearer)).partition('?')[2]}"
    assert desk.call(bearer, "GET", path).status_code == 200
    creating = desk.token(reader, scope="change_request.create")
    assert desk.call(creating, "GET", path).status_code == 403
    assert shorten_by(desk, creating).status_code == 403


def kept_queries(app: Flask) -> list[str]:
    """Return what is kept, oldest first."""
    with app.app_context():
        statement = select(TinyUrl.query).order_by(TinyUrl.created_at)
        return list(db.session.execute(statement).scalars())


def test_the_oldest_of_too_many_queries_make_room(either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_urls, "MOST_KEPT", 3)
    bearers = [either_desk.token(either_desk.register(name, **READER)) for name in ("One", "Other")]
    for bearer in bearers:
        for number in range(5):
            assert shorten_by(either_desk, bearer, f"{CHANGES}?sysparm_offset={number}").status_code == 200
    # Both act as the same user, and neither takes the other's room.
    assert kept_queries(either_desk.app) == ["sysparm_offset=2", "sysparm_offset=3", "sysparm_offset=4"] * 2


def test_the_oldest_of_too_long_queries_make_room(app: Flask, api: TableApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_urls, "MOST_QUERY_CHARACTERS", 100)
    for letter in "abc":
        token_of(api, f"{CHANGES}?{letter * 40}")
    assert [query[0] for query in kept_queries(app)] == ["b", "c"]
    token_of(api, f"{CHANGES}?{'d' * 100}")
    assert [query[0] for query in kept_queries(app)] == ["d"]


def test_queries_that_are_kept_at_once_stay_within_the_bound(
    either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_urls, "MOST_KEPT", 3)
    bearer = either_desk.token(either_desk.register("Reader", **READER))
    with ThreadPoolExecutor(8) as callers:
        kept = list(callers.map(lambda _: shorten_by(either_desk, bearer).status_code, range(24)))
    assert set(kept) == {200}
    assert len(kept_queries(either_desk.app)) <= 3 + 8
    shorten_by(either_desk, bearer)
    assert len(kept_queries(either_desk.app)) == 3


def test_a_user_who_is_deleted_during_the_request_gets_a_refusal(
    either_app: Flask, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = TableApi(either_app.test_client(), admin)
    monkeypatch.setattr(tiny_urls, "_make_room", lambda *_: connection().execute(delete(SysUser)))
    response = shorten(api, f"{HOST}{CHANGES}?sysparm_query=active=true")
    assert response.status_code == 403
    assert error_of(response) == ("Operation Failed", "A record that the request refers to was deleted meanwhile")
