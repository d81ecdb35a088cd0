"""Batches: docs/reference/other-apis.md#batch."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.api import auth, batch, subrequests
from changegate.extensions import db
from tests.conftest import basic
from tests.support.table_api import CHANGES, TableApi, error_of, result_of
from tests.support.token_desk import Integration, TokenDesk

BATCH = "/api/now/v1/batch"
JSON = [{"name": "Content-Type", "value": "application/json"}]
MISSING = f"{CHANGES}/{'0' * 32}"


def item(identifier: object, method: str, url: str, body: Any = None, **more: Any) -> dict[str, Any]:
    sent = {} if body is None else {"body": b64encode(orjson.dumps(body)).decode(), "headers": JSON}
    return {"id": identifier, "method": method, "url": url, **sent, **more}


def post(api: TableApi, *items: Any, path: str = BATCH, identifier: object = 7) -> TestResponse:
    return api.client.post(path, json={"batch_request_id": identifier, "rest_requests": items}, headers=api.headers)


def served(api: TableApi, *items: Any) -> list[dict[str, Any]]:
    response = post(api, *items)
    assert response.status_code == 200, response.text
    answer = response.get_json()
    assert answer["unserviced_requests"] == []
    found: list[dict[str, Any]] = answer["serviced_requests"]
    assert [one["id"] for one in found] == [str(one["id"]) for one in items]
    return found


def body_of(answer: dict[str, Any]) -> Any:
    return orjson.loads(b64decode(answer["body"]))


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    return {header["name"]: header["value"] for header in answer["headers"]}


def require_refusal(answer: dict[str, Any], text: str) -> None:
    assert answer["status_code"] == 400
    assert text in str(body_of(answer)["error"])
    assert body_of(answer)["status"] == "failure"


@pytest.mark.parametrize("path", ["/api/now/batch", "/api/now/v1/batch", "/api/now/v2/batch"])
def test_answers_each_request_in_its_order(api: TableApi, path: str) -> None:
    made = api.created(short_description="before")
    target = f"{CHANGES}/{made['sys_id']}"
    answer = post(
        api,
        item("a", "GET", f"{target}?sysparm_fields=short_description"),
        item("b", "PATCH", f"{target}?sysparm_fields=short_description", {"short_description": "after"}),
        item("c", "GET", f"{target}?sysparm_fields=short_description"),
        item("d", "DELETE", target),
        item("e", "GET", target),
        path=path,
    ).get_json()
    answers = answer["serviced_requests"]
    assert [one["id"] for one in answers] == ["a", "b", "c", "d", "e"]
    assert [one["status_code"] for one in answers] == [200, 200, 200, 204, 404]
    assert [one["status_text"] for one in answers] == ["OK", "OK", "OK", "No Content", "Not Found"]
    assert [body_of(one)["result"]["short_description"] for one in answers[:3]] == ["before", "after", "after"]
    assert "body" not in answers[3]
    assert body_of(answers[4])["error"]["message"] == "No Record found"
    assert all(isinstance(one["execution_time"], int) for one in answers)


@pytest.mark.parametrize(("sent", "echoed"), [(7, "7"), ("7", "7"), ("x y", "x y"), (-1, "-1"), (7.0, "7"), ("", "")])
def test_echoes_the_id_of_the_batch_as_text(api: TableApi, sent: object, echoed: str) -> None:
    assert post(api, identifier=sent).get_json() == {
        "batch_request_id": echoed,
        "serviced_requests": [],
        "unserviced_requests": [],
    }


def test_each_answer_is_the_same_as_outside_a_batch(api: TableApi) -> None:
    made = api.created()
    for url in (CHANGES, f"{CHANGES}/{made['sys_id']}", MISSING, "/api/now/table/nonsense", "/api/now/nonsense"):
        alone = api.client.get(url, headers=api.headers)
        [answer] = served(api, item(1, "GET", url))
        assert answer["status_code"] == alone.status_code
        assert b64decode(answer["body"]) == alone.data
        ours, theirs = headers_of(answer), dict(alone.headers)
        assert ours.keys() == theirs.keys()
        for name in theirs.keys() - {"X-Request-Id"}:
            assert ours[name] == theirs[name]


def test_an_empty_answer_is_the_same_as_outside_a_batch(api: TableApi) -> None:
    first, second = (f"{CHANGES}/{api.created()['sys_id']}" for _ in range(2))
    alone = api.client.delete(first, headers=api.headers)
    [answer] = served(api, item(1, "DELETE", second))
    assert headers_of(answer) == dict(alone.headers)
    assert "Content-Type" not in headers_of(answer)


def test_reads_null_as_nothing(api: TableApi) -> None:
    bare = {"headers": None, "body": None, "exclude_response_headers": None}
    [answer] = served(api, item(1, "GET", CHANGES, **bare))
    assert answer["status_code"] == 200
    assert headers_of(answer)["X-Total-Count"] == "0"


def test_has_the_count_of_a_list_and_the_location_of_a_new_record(api: TableApi) -> None:
    made, listed = served(api, item(1, "POST", CHANGES, {}), item(2, "GET", CHANGES))
    assert headers_of(made)["Location"].endswith(body_of(made)["result"]["sys_id"])
    assert made["status_code"] == 201
    assert headers_of(listed)["X-Total-Count"] == "1"
    [bare] = served(api, item(1, "GET", CHANGES, exclude_response_headers=True))
    assert bare["headers"] == []
    assert body_of(bare)["result"]


def test_a_head_has_headers_and_no_body(api: TableApi) -> None:
    [answer] = served(api, item(1, "HEAD", CHANGES))
    assert headers_of(answer)["X-Total-Count"] == "0"
    assert "body" not in answer


def test_a_request_that_fails_takes_nothing_back_of_the_others(api: TableApi) -> None:
    answers = served(
        api,
        item(1, "POST", CHANGES, {"short_description": "one"}),
        item(2, "POST", CHANGES, {"short_description": "two", "start_date": "soon"}),
        item(3, "POST", CHANGES, {"short_description": "three"}),
    )
    assert [answer["status_code"] for answer in answers] == [201, 400, 201]
    assert api.found("ORDERBYnumber") == ["one", "three"]


def test_the_headers_of_a_request_count(api: TableApi) -> None:
    def sent(**headers: str) -> list[dict[str, str]]:
        return [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]

    target = f"{CHANGES}/{api.created()['sys_id']}"
    xml, quiet, overridden, refused, packed = served(
        api,
        item(1, "GET", target, headers=sent(accept="application/xml")),
        item(2, "POST", CHANGES, headers=sent(X_No_Response_Body="true")),
        item(3, "POST", target, headers=sent(X_HTTP_Method_Override="DELETE")),
        item(4, "POST", CHANGES, headers=sent(Content_Type="text/plain")),
        item(5, "POST", CHANGES, headers=sent(Content_Encoding="gzip")),
    )
    assert b64decode(xml["body"]).startswith(b"<?xml")
    assert (quiet["status_code"], "body" in quiet) == (201, False)
    assert overridden["status_code"] == 204
    assert refused["status_code"] == packed["status_code"] == 415


FORGED = ["Authorization", "authorization", "X-Forwarded-For", "Host", "Cookie", "REMOTE_ADDR", "Transfer-Encoding"]


class TestBehindAProxy:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"trusted_proxies": "1"}

    def test_a_request_is_its_senders_own_whatever_its_headers_say(
        self, app: Flask, api: TableApi, add_user: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_user("plain")
        plain = TableApi(app.test_client(), basic("plain", "itil itil itil") | {"X-Forwarded-For": "192.0.2.7"})
        seen: list[str | None] = []
        monkeypatch.setattr("changegate.api.table.require_scope", looking_at_address(seen))
        forged = [{"name": name, "value": api.headers["Authorization"]} for name in FORGED]
        forged += [{"name": "X-Forwarded-For", "value": "198.51.100.1"}, {"name": "Content-Length", "value": "1"}]
        [answer] = served(plain, item(1, "POST", CHANGES, {"short_description": "x"}, headers=forged))
        assert answer["status_code"] == 403
        assert seen == ["192.0.2.7"]


def looking_at_address(seen: list[str | None]) -> Callable[..., Any]:
    def look(*arguments: str) -> Any:
        seen.append(auth.current_request().remote_addr)
        return auth.require_scope(*arguments)

    return look


def test_a_batch_holds_no_batch(api: TableApi) -> None:
    inner = item(1, "POST", BATCH, {"rest_requests": [item(2, "GET", CHANGES)]})
    for url in (BATCH, "/api/now/batch/", "/api/now/%62atch", "/api/now/v2/batch?x=1"):
        [answer] = served(api, inner | {"url": url})
        require_refusal(answer, "A batch cannot hold a batch")
    override = [{"name": "X-HTTP-Method-Override", "value": "POST"}]
    [answer] = served(api, item(1, "GET", BATCH, headers=override))
    require_refusal(answer, "A batch cannot hold a batch")


BAD_ITEMS = [
    ({"url": "https://change.example.com/api/now/table/change_request"}, "url: "),
    ({"url": "//evil.example/api/now/table/change_request"}, "url: "),
    ({"url": "/login"}, "url: "),
    ({"url": "/oauth_token.do"}, "url: "),
    ({"url": "api/now/table/change_request"}, "url: "),
    ({"url": "/api"}, "url: "),
    ({"url": "http://[x"}, "url: "),
    ({"url": None}, "url: "),
    ({"url": 7}, "url: "),
    ({"url": ...}, "url: "),
    ({"url": "/api/now/" + "x" * 1024 * 1024}, "url: "),
    ({"url": "/api/now/../../login"}, "does not represent any resource"),
    ({"method": "TRACE"}, "method: "),
    ({"method": ""}, "method: "),
    ({"method": None}, "method: "),
    ({"method": ...}, "method: "),
    ({"body": "!"}, "body: Base64"),
    ({"body": "e30"}, "body: Base64"),
    ({"body": "\u00e9"}, "body: Base64"),
    ({"body": "e3\n0="}, "body: Base64"),
    ({"body": {}}, "body: "),
    ({"headers": "x"}, "headers: "),
    ({"headers": [{"value": "x"}]}, "headers: "),
    ({"headers": [{"name": 7, "value": "x"}]}, "headers: "),
    ({"exclude_response_headers": "perhaps"}, "exclude_response_headers: "),
    ({"body": b64encode(b"{").decode()}, "The body is not JSON"),
]


@pytest.mark.parametrize(("change", "text"), BAD_ITEMS, ids=range(len(BAD_ITEMS)))
def test_a_bad_request_is_refused_alone_and_names_its_field(api: TableApi, change: dict[str, Any], text: str) -> None:
    whole = item("bad", "POST", CHANGES, {"short_description": "x"}) | change
    bad = {name: value for name, value in whole.items() if value is not ...}
    answers = served(api, bad, item("good", "GET", CHANGES))
    require_refusal(answers[0], text)
    assert answers[1]["status_code"] == 200
    assert api.found("") == []


def test_a_null_body_and_a_null_header_are_treated_as_missing(api: TableApi) -> None:
    [answer] = served(api, item(1, "POST", CHANGES, headers=[{"name": "Accept", "value": None}], body=None))
    assert answer["status_code"] == 201


@pytest.mark.parametrize("query", ["?b'sysparm_query=x'", "?", "?&&", "?%ff", "?\u00e9=\u00e9", "?a b", "#x"])
def test_takes_every_query_string_there_is(api: TableApi, query: str) -> None:
    [answer] = served(api, item(1, "GET", CHANGES + query))
    assert answer["status_code"] == 200


def test_has_no_limit_for_urls_that_a_client_would_reach(api: TableApi) -> None:
    api.created(short_description="kept")
    values = ",".join(f"x{number}" for number in range(5000))
    url = f"{CHANGES}?sysparm_query=short_descriptionIN{values},kept&sysparm_fields=short_description"
    assert len(url) > 25_000
    [answer] = served(api, item(1, "GET", url))
    assert body_of(answer) == {"result": [{"short_description": "kept"}]}


BAD_BATCHES: list[tuple[bytes, str]] = [
    (b"", "rest_requests: "),
    (b"{", "The body is not JSON"),
    (b"[]", "A JSON object is expected"),
    (b"{}", "rest_requests: "),
    (b'{"rest_requests": {}}', "rest_requests: "),
    (b'{"rest_requests": null}', "rest_requests: "),
    (b'{"rest_requests": [1]}', "rest_requests: "),
    (b'{"rest_requests": [{}]}', "rest_requests: Request 1 has no id."),
    (b'{"rest_requests": [{"id": "1"}, {"id": null}]}', "rest_requests: Request 2 has no id."),
    (b'{"rest_requests": [{"id": []}]}', "rest_requests: Request 1 has no id."),
    (b'{"rest_requests": [], "batch_request_id": {}}', "batch_request_id: "),
    (b'{"rest_requests": [], "batch_request_id": true}', "batch_request_id: "),
]


@pytest.mark.parametrize(("body", "text"), BAD_BATCHES, ids=range(len(BAD_BATCHES)))
def test_an_invalid_batch_is_refused_as_a_whole(api: TableApi, body: bytes, text: str) -> None:
    response = api.client.post(BATCH, data=body, headers=api.headers)
    assert response.status_code == 400
    assert text in " ".join(part or "" for part in error_of(response))


def test_a_batch_is_json_and_no_larger_than_any_body(api: TableApi) -> None:
    assert api.client.post(BATCH, data="<x/>", content_type="text/xml", headers=api.headers).status_code == 415
    assert api.client.get(BATCH, headers=api.headers).status_code == 405
    large = item(1, "POST", CHANGES, {"description": "x" * 8_000_000})
    response = post(api, large)
    assert (response.status_code, "Rejected large REST payload" in response.text) == (400, True)


def test_a_request_over_five_megabytes_is_refused_alone(api: TableApi) -> None:
    answers = served(api, item(1, "POST", CHANGES, {"description": "x" * 5_300_000}), item(2, "GET", CHANGES))
    require_refusal(answers[0], "body: At most 5242880 bytes are allowed.")
    assert answers[1]["status_code"] == 200


def test_an_answer_that_is_too_large_is_left_out(api: TableApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.created()
    monkeypatch.setattr(subrequests, "MAX_OUTPUT_BYTES", 500)
    answers = served(api, item(1, "GET", CHANGES), item(2, "GET", f"{CHANGES}?sysparm_fields=number"))
    require_refusal(answers[0], "The response is over 500 bytes")
    assert answers[1]["status_code"] == 200


@pytest.mark.parametrize(("limit", "most", "served_count"), [("MAX_REQUESTS", 2, 2), ("MAX_ANSWER_BYTES", 1, 1)])
def test_what_finds_no_room_is_named_and_not_done(
    api: TableApi, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, served_count: int
) -> None:
    monkeypatch.setattr(batch, limit, most)
    answer = post(api, *(item(f"i{number}", "POST", CHANGES, {}) for number in range(4))).get_json()
    names = ["i0", "i1", "i2", "i3"]
    assert [one["id"] for one in answer["serviced_requests"]] == names[:served_count]
    assert answer["unserviced_requests"] == names[served_count:]
    assert len(result_of(api.page())) == served_count


def test_an_unauthenticated_caller_cannot_send_a_batch(client: FlaskClient) -> None:
    response = client.post(BATCH, json={"rest_requests": [item(1, "GET", "/api/now/table/sys_user")]})
    assert response.status_code == 401


def test_the_scope_of_a_token_is_checked_for_each_request(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    items = [item(1, "POST", CHANGES, {"short_description": "x"}), item(2, "GET", CHANGES), item(3, "DELETE", MISSING)]
    answer = desk.call(token, path=BATCH, json={"rest_requests": items})
    assert answer.status_code == 200
    assert [one["status_code"] for one in answer.get_json()["serviced_requests"]] == [201, 403, 403]
    desk.set(integration, active=False)
    assert desk.call(token, path=BATCH, json={"rest_requests": items}).status_code == 401


def test_an_idempotency_key_holds_in_a_batch(api: TableApi) -> None:
    key = [*JSON, {"name": "Idempotency-Key", "value": "once"}]
    first, second = served(api, *(item(at, "POST", CHANGES, {"short_description": "x"}, headers=key) for at in (1, 2)))
    assert first["status_code"] == second["status_code"] == 201
    assert body_of(first)["result"]["sys_id"] == body_of(second)["result"]["sys_id"]
    assert api.found("") == ["x"]


def test_a_long_batch_leaves_no_connection_behind(either_app: Flask) -> None:
    api = TableApi(either_app.test_client(), basic("admin", "correct horse battery"))
    with either_app.app_context():
        before = db.engine.pool.checkedout()
    answers = served(api, *(item(number, "POST", CHANGES, {}) for number in range(30)))
    assert {answer["status_code"] for answer in answers} == {201}
    with either_app.app_context():
        assert db.engine.pool.checkedout() == before
