"""The checks that decide whether clients work, by their numbers in docs/reference/clients.md#fourteen-checks."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.conftest import PASSWORD, USER_NAME, create_as
from tests.support.servers import Running

CHANGES = "/api/now/table/change_request"
TASKS = "/api/now/table/change_task"
MISSING = "f" * 32
LOG = b"deployed\n"

Call = Callable[..., requests.Response]
Create = Callable[..., dict[str, Any]]


@pytest.fixture
def call(server: Running, ca: Path) -> Iterator[Call]:
    """Send a request as the change manager; parameters go without their `sysparm_`."""
    with requests.Session() as session:
        session.auth, session.verify, session.trust_env = (USER_NAME, PASSWORD), str(ca), False

        def send(method: str, path: str, *, named: dict[str, str] | None = None, **options: Any) -> requests.Response:
            given = {f"sysparm_{name}": value for name, value in options.pop("sysparms", {}).items()}
            return session.request(method, server.url + path, params=given | (named or {}), timeout=60, **options)

        yield send


@pytest.fixture
def create(call: Call) -> Create:
    """Create a change and return it, without links."""

    def send(path: str = CHANGES, **fields: str) -> dict[str, Any]:
        answer = call("POST", path, json=fields, sysparms={"exclude_reference_link": "true"})
        assert answer.status_code == 201, answer.text
        return result_of(answer)

    return send


def result_of(answer: requests.Response) -> Any:
    return answer.json()["result"]


def found(call: Call, query: str, mark: str) -> list[str]:
    """Return what a query finds among the changes with a mark, by short description."""
    sysparms = {"query": query, "fields": "short_description,correlation_id"}
    rows = result_of(call("GET", CHANGES, sysparms=sysparms))
    return sorted(row["short_description"] for row in rows if row["correlation_id"] == mark)


def assert_error(answer: requests.Response, status: int, message: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    body = answer.json()
    assert body["error"]["message"] == message
    assert set(body) == {"error", "status"}


def test_01_an_empty_list_is_counted_and_an_unknown_table_refused(call: Call) -> None:
    empty = call("GET", CHANGES, sysparms={"query": "number=none"})

    assert (empty.status_code, empty.json(), empty.headers["X-Total-Count"]) == (200, {"result": []}, "0")
    assert_error(call("GET", "/api/now/table/no_such_table"), 400, "Invalid table no_such_table")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_02_an_unknown_id_is_json_without_a_result(call: Call, method: str) -> None:
    body = {"json": {"short_description": "x"}} if method in {"PATCH", "PUT"} else {}

    assert_error(call(method, f"{CHANGES}/{MISSING}", **body), 404, "No Record found")


def test_03_an_unauthenticated_caller_gets_both_error_phrases(server: Running, ca: Path) -> None:
    answer = requests.get(f"{server.url}{CHANGES}/{MISSING}", auth=("nobody", "wrong"), verify=str(ca), timeout=60)

    assert_error(answer, 401, "User Not Authenticated")
    assert answer.json()["error"]["detail"] == "Required to provide Auth information"
    assert answer.headers["WWW-Authenticate"].startswith('BASIC realm="Service-now", BEARER realm="Service-now"')


def test_04_a_created_record_has_a_location_and_a_deleted_one_no_body(call: Call, server: Running) -> None:
    created = call("POST", CHANGES, json={"short_description": "Deploy"})
    sys_id = result_of(created)["sys_id"]

    assert (created.status_code, created.headers["Location"]) == (201, f"{server.url}{CHANGES}/{sys_id}")
    deleted = call("DELETE", f"{CHANGES}/{sys_id}")
    assert (deleted.status_code, deleted.content) == (204, b"")


def test_05_both_values_of_every_field_are_an_object(call: Call, create: Create) -> None:
    sys_id = create(short_description="Deploy")["sys_id"]
    sysparms = {"display_value": "all", "fields": "", "exclude_reference_link": "true"}
    answers = [
        call("GET", f"{CHANGES}/{sys_id}", sysparms=sysparms),
        call("PATCH", f"{CHANGES}/{sys_id}", json={"impact": "2"}, sysparms=sysparms),
        call("POST", CHANGES, json={"short_description": "Deploy"}, sysparms=sysparms),
    ]

    listed = result_of(call("GET", CHANGES, sysparms=sysparms | {"query": f"sys_id={sys_id}"}))
    for record in (*map(result_of, answers), *listed):
        assert all(set(value) == {"value", "display_value"} for value in record.values()), record
        assert record["assigned_to"] == {"value": "", "display_value": ""}
        assert record["active"] == {"value": "true", "display_value": "true"}


def test_06_links_come_with_a_second_page_only(call: Call, create: Create, server: Running) -> None:
    for _ in range(3):
        create(short_description="Deploy", correlation_id="check 6")
    query = {"query": "correlation_id=check 6"}

    assert "Link" not in call("GET", CHANGES, sysparms=query).headers
    first = call("GET", CHANGES, sysparms=query | {"limit": "2"})
    assert set(first.links) == {"first", "next", "last"}
    assert first.headers["X-Total-Count"] == "3"
    second = call("GET", first.links["next"]["url"].removeprefix(server.url))
    assert set(second.links) == {"first", "prev", "last"}
    assert len(result_of(first) + result_of(second)) == 3


def test_07_a_batch_echoes_its_id_as_text_and_the_headers_of_its_parts(call: Call, create: Create) -> None:
    sys_id = create(short_description="Deploy", correlation_id="check 7")["sys_id"]
    body = base64.b64encode(b'{"short_description":"Deploy again"}').decode()
    json_type = [{"name": "Content-Type", "value": "application/json"}]
    parts = [
        {"id": "a", "method": "PATCH", "url": f"{CHANGES}/{sys_id}", "headers": json_type, "body": body},
        {"id": "b", "method": "GET", "url": f"{CHANGES}?sysparm_query=correlation_id%3Dcheck%207", "headers": []},
        {"id": "c", "method": "GET", "url": f"{CHANGES}/{MISSING}", "headers": []},
        {"id": "d", "method": "DELETE", "url": f"{CHANGES}/{sys_id}", "headers": []},
    ]
    answer = call("POST", "/api/now/v1/batch", json={"batch_request_id": 7, "rest_requests": parts}).json()

    assert (answer["batch_request_id"], answer["unserviced_requests"]) == ("7", [])
    served = answer["serviced_requests"]
    assert [(part["id"], part["status_code"]) for part in served] == [("a", 200), ("b", 200), ("c", 404), ("d", 204)]
    headers = {header["name"].lower(): header["value"] for header in served[1]["headers"]}
    assert headers["x-total-count"] == "1"
    [listed] = json.loads(base64.b64decode(served[1]["body"]))["result"]
    assert listed["short_description"] == "Deploy again"


def test_08_names_and_values_filter_and_case_does_not_matter(
    call: Call, create: Create, server: Running, administrator: requests.Session
) -> None:
    group = create_as(administrator, server, "sys_user_group", name="Check Eight")
    create(short_description="Deploy", correlation_id="check 8", assignment_group=group)
    create(short_description="Elsewhere", correlation_id="check 8")

    [by_name] = result_of(call("GET", "/api/now/table/sys_user_group", named={"name": "check eight"}))
    assert by_name["sys_id"] == group
    for value in (group, "check EIGHT"):
        named = {"assignment_group": value, "state": "new"}
        [change] = result_of(call("GET", CHANGES, named=named))
        assert change["short_description"] == "Deploy"


def test_09_templates_copy_models_resolve_and_given_values_are_kept(
    call: Call, create: Create, server: Running, administrator: requests.Session
) -> None:
    values = "description=One by one^implementation_plan=Restart^EQ"
    create_as(administrator, server, "std_change_record_producer", name="Check Nine", template=values)
    said = {"std_change_producer_version": "Check Nine - 1", "chg_model": "standard", "priority": "2", "risk": "3"}

    change = create(short_description="Restart", description="All at once", **said)
    assert (change["description"], change["implementation_plan"]) == ("All at once", "Restart")
    assert (change["type"], change["priority"], change["risk"]) == ("standard", "2", "3")
    model = call("GET", f"/api/now/table/chg_model/{change['chg_model']}")
    assert result_of(model)["name"].lower() == "standard"
    call("PATCH", f"{CHANGES}/{change['sys_id']}", json={"description": "One after the other"})
    again = result_of(call("PATCH", f"{CHANGES}/{change['sys_id']}", json={**said, "type": "standard"}))
    assert (again["description"], again["priority"], again["sys_mod_count"]) == ("One after the other", "2", "1")


def test_10_a_file_has_its_digest_its_location_and_its_metadata(call: Call, create: Create, server: Running) -> None:
    sys_id = create(short_description="With a file")["sys_id"]
    where = {"table_name": "change_request", "table_sys_id": sys_id, "file_name": "deploy.log"}
    headers = {"Content-Type": "text/plain"}

    uploaded = call("POST", "/api/now/v1/attachment/file", named=where, data=LOG, headers=headers)
    file = result_of(uploaded)
    assert (uploaded.status_code, file["hash"]) == (201, hashlib.sha256(LOG).hexdigest())
    assert uploaded.headers["Location"] == f"{server.url}/api/now/v1/attachment/{file['sys_id']}/file"
    read = call("GET", f"/api/now/v1/attachment/{file['sys_id']}/file")
    assert read.content == LOG
    assert json.loads(read.headers["X-Attachment-Metadata"])["size_bytes"] == str(len(LOG))


def test_11_a_tiny_url_stands_for_the_whole_query(call: Call, create: Create, server: Running) -> None:
    for number in range(3):
        create(short_description=str(number), correlation_id="check 11")
    query = "sysparm_query=correlation_id%3Dcheck%2011%5EORDERBYshort_description&sysparm_fields=short_description"
    url = f"{server.url}{CHANGES}?{query}&sysparm_limit=2&sysparm_offset=1"

    made = result_of(call("POST", "/api/now/tinyurl", json={"url": url}))
    token = made.partition("sysparm_tiny=")[2]
    answer = call("GET", CHANGES, named={"sysparm_tiny": token})
    assert result_of(answer) == [{"short_description": "1"}, {"short_description": "2"}]
    assert answer.headers["X-Total-Count"] == "3"
    elsewhere = call("GET", TASKS, named={"sysparm_tiny": token})
    assert elsewhere.status_code == 400


def test_12_conditions_bind_as_they_should_and_a_bad_one_is_dropped(call: Call, create: Create) -> None:
    for text, risk, impact in (("a", "2", "1"), ("b", "3", "1"), ("c", "3", "3"), ("d", "4", "3")):
        create(short_description=text, risk=risk, impact=impact, correlation_id="check 12")
    mark = "correlation_id=check 12"

    assert found(call, f"{mark}^risk=2^ORrisk=3^impact=1", "check 12") == ["a", "b"]
    assert found(call, f"{mark}^risk=2^impact=1^NQ{mark}^risk=4^impact=3", "check 12") == ["a", "d"]
    assert found(call, f"{mark}^no_such_field=1^risk=4", "check 12") == ["d"]
    assert found(call, f"{mark}^short_description==", "check 12") == []


def test_13_a_change_in_implementation_stays_there(
    call: Call, create: Create, server: Running, administrator: requests.Session
) -> None:
    create_as(administrator, server, "std_change_record_producer", name="Check 13", template="risk=4^EQ")
    group = create_as(administrator, server, "sys_user_group", name="Check 13")
    sys_id = create(chg_model="standard", std_change_producer_version="Check 13 - 1", assignment_group=group)["sys_id"]
    for state in ("-2", "-1", "-1"):
        answer = call("PATCH", f"{CHANGES}/{sys_id}", json={"state": state})
        assert (answer.status_code, result_of(answer)["state"]) == (200, state)

    assert result_of(call("GET", f"{CHANGES}/{sys_id}"))["state"] == "-1"


def test_14_a_task_on_hold_can_be_closed(call: Call, create: Create) -> None:
    change = create(short_description="Deploy")
    task = create(TASKS, short_description="Restart", change_request=change["sys_id"], state="2")
    record = f"{TASKS}/{task['sys_id']}"

    held = call("PATCH", record, json={"on_hold": "true", "on_hold_reason": "Waiting"})
    assert result_of(held)["on_hold"] == "true"
    closing = {"state": "3", "close_code": "successful", "close_notes": "Done"}
    closed = result_of(call("PATCH", record, json=closing))
    assert (closed["state"], closed["active"], closed["on_hold"]) == ("3", "false", "true")
