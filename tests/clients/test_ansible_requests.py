"""Ansible's servicenow.itsm: the requests that its modules send, and what they need of the answers.

See docs/reference/clients.md#ansible-servicenowitsm.
"""

import hashlib
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import requests

from tests.clients.ansible_requests import PAGE, AnsibleClient, Answer, Step, query_of
from tests.clients.conftest import PASSWORD, USER_NAME, create_as
from tests.conftest import ADMIN_PASSWORD
from tests.support.servers import Running

FLAT = "sysparm_exclude_reference_link=true"
FILES_PAGE = "&sysparm_limit=10000&sysparm_offset=0"
FILES_OF_CHANGE = f"GET /api/now/attachment?table_name=change_request&table_sys_id=$change{FILES_PAGE}"
LOG, LONGER_LOG = b"deployed\n", b"deployed\nand checked\n"
LONGEST_URL = 2048

CHANGE = f"PATCH /api/now/table/change_request/$change?{FLAT}"
TASK = f"PATCH /api/now/table/change_task/$task?{FLAT}"

CHANGE_REQUEST = [
    Step(query_of("sys_user", user_name=USER_NAME), keep={"user": "sys_id"}),
    # The group is called Network; the playbook says network.
    Step(query_of("sys_user_group", name="ansible network"), keep={"group": "sys_id"}),
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"state":"-5","type":"normal","requested_by":"$user","assignment_group":"$group","priority":"3","risk":"4",'
        '"impact":"3","short_description":"Install new Cisco","description":"Please install","chg_model":"normal"}',
        status=201,
        result={"state": "-5", "requested_by": "$user", "assignment_group": "$group", "priority": "3", "risk": "4"},
        keep={"change": "sys_id", "number": "number", "model": "chg_model"},
    ),
    Step(query_of("change_request", number="$number"), result={"sys_id": "$change", "chg_model": "$model"}),
    Step(query_of("change_request", sys_id="$change"), result={"number": "$number"}),
    Step(FILES_OF_CHANGE, result=[]),
    Step(
        CHANGE,
        '{"type":"normal","priority":"2","risk":"2","impact":"1","chg_model":"normal"}',
        result={"priority": "2", "risk": "2", "impact": "1", "type": "normal", "chg_model": "$model"},
        keep={"count": "sys_mod_count"},
    ),
    Step(
        CHANGE,
        '{"type":"normal","priority":"2","risk":"2","impact":"1","chg_model":"normal"}',
        result={"priority": "2", "risk": "2", "impact": "1", "sys_mod_count": "$count"},
    ),
    Step(CHANGE, '{"state":"-4","assignment_group":"$group"}', result={"state": "-4", "priority": "2", "risk": "2"}),
    Step(
        CHANGE,
        '{"on_hold":"true","hold_reason":"Waiting for parts","on_hold_reason":"Waiting for parts"}',
        result={"on_hold": "true", "on_hold_reason": "Waiting for parts", "state": "-4"},
    ),
    Step(FILES_OF_CHANGE, result=[]),
    Step("DELETE /api/now/table/change_request/$change", status=204),
    Step(query_of("change_request", number="$number"), result=[]),
]

STANDARD_CHANGE = [
    # The template of the first start: nobody has to add it.
    Step(
        query_of("std_change_producer_version", name="Clear BGP sessions on a Cisco router - 1"),
        keep={"template": "sys_id"},
    ),
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"state":"-5","type":"standard","priority":"4","risk":"4","impact":"3","short_description":'
        '"some short description","chg_model":"standard","std_change_producer_version":"$template"}',
        status=201,
        result={
            "state": "-5",
            "type": "standard",
            "short_description": "some short description",
            "std_change_producer_version": "$template",
            "priority": "4",
            "risk": "4",
            "impact": "3",
        },
        keep={"change": "sys_id", "count": "sys_mod_count"},
    ),
    # The collection's own tests look for this sentence in the description.
    Step(
        query_of(
            "change_request",
            sysparm_query="short_description=some short description"
            "^descriptionLIKEResend the complete BGP table to neighboring routers",
        ),
        result={"sys_id": "$change", "risk": "4"},
    ),
    Step(
        CHANGE,
        '{"type":"standard","priority":"4","risk":"4","impact":"3","chg_model":"standard"}',
        result={"priority": "4", "risk": "4", "impact": "3", "sys_mod_count": "$count"},
    ),
    Step(CHANGE, '{"description":"Clear all of them"}', result={"description": "Clear all of them"}),
    Step(
        CHANGE,
        '{"type":"standard","chg_model":"standard","std_change_producer_version":"$template"}',
        result={"description": "Clear all of them"},
    ),
    # The life of a change as the collection's own tests drive it: each state is read back, and set again unchanged.
    Step(query_of("sys_user_group", name="ansible network"), keep={"group": "sys_id"}),
    Step(
        CHANGE,
        '{"state":"-2","assignment_group":"$group","priority":"2","risk":"2","impact":"1"}',
        result={"state": "-2", "priority": "2", "risk": "2", "impact": "1"},
    ),
    Step(CHANGE, '{"state":"-1"}', result={"state": "-1"}, keep={"count": "sys_mod_count"}),
    Step(CHANGE, '{"state":"-1"}', result={"state": "-1", "sys_mod_count": "$count"}),
    Step(CHANGE, '{"state":"0","type":"standard","chg_model":"standard"}', result={"state": "0"}),
    Step(CHANGE, '{"state":"0"}', result={"state": "0"}),
    Step(
        CHANGE,
        '{"state":"3","close_code":"successful","close_notes":"Done testing","type":"standard","chg_model":"standard"}',
        result={"state": "3", "close_code": "successful", "active": "false"},
        keep={"count": "sys_mod_count"},
    ),
    Step(
        CHANGE,
        '{"state":"3","close_code":"successful","close_notes":"Done testing"}',
        result={"state": "3", "sys_mod_count": "$count"},
    ),
    Step("DELETE /api/now/table/change_request/$change", status=204),
]

PEER, BOARD = "ansible.peer", "ansible.board"
FOUND_CHANGE = query_of("change_request", number="$number")
FOUND_USER = Step(query_of("sys_user", user_name=USER_NAME), keep={"user": "sys_id"})
FOUND_GROUP = Step(query_of("sys_user_group", name="Ansible Network"), keep={"group": "sys_id"})
CLOSED = '"state":"3","close_code":"successful","close_notes":"Closed"'


def approved_by(person: str) -> Step:
    """Return the answer of a person, which no module sends."""
    approvals = "PATCH /api/sn_chg_rest/change/$change/approvals"
    return Step(approvals, '{"state":"approved","comments":"Agreed"}', person=person)


def task_of_type(kind: str) -> Step:
    """Return the look-up of the task of a type that the process has created."""
    query = f"change_request%3D$change%5Echange_task_type%3D{kind}"
    return Step(f"GET /api/now/table/change_task?sysparm_query={query}&{FLAT}{PAGE}", keep={"task": "sys_id"})


# A playbook asks for each state in turn. Where a person moves the change by an approval, the module finds the state
# that it asks for, and sends nothing.
NORMAL_LIFE = [
    FOUND_USER,
    FOUND_GROUP,
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"state":"-5","type":"normal","requested_by":"$user","assignment_group":"$group","risk":"3",'
        '"short_description":"Replace the router","chg_model":"normal"}',
        status=201,
        result={"state": "-5", "approval": "not requested"},
        keep={"change": "sys_id", "number": "number"},
    ),
    Step(CHANGE, '{"state":"-4","assignment_group":"$group"}', result={"state": "-4", "approval": "requested"}),
    # No module moves a change past its approvals.
    Step(CHANGE, '{"state":"-3"}', status=403),
    Step(CHANGE, '{"state":"-1"}', status=403),
    approved_by(PEER),
    Step(FOUND_CHANGE, result={"state": "-3", "approval": "requested"}),
    Step(CHANGE, '{"state":"-3"}', result={"state": "-3"}),
    approved_by(BOARD),
    Step(FOUND_CHANGE, result={"state": "-2", "approval": "approved"}),
    Step(CHANGE, '{"state":"-1"}', result={"state": "-1"}, keep={"count": "sys_mod_count"}),
    Step(CHANGE, '{"state":"-1"}', result={"state": "-1", "sys_mod_count": "$count"}),
    task_of_type("implementation"),
    Step(TASK, "{" + CLOSED + "}", result={"state": "3", "active": "false"}),
    Step(FOUND_CHANGE, result={"state": "-1"}),
    task_of_type("testing"),
    Step(TASK, "{" + CLOSED + "}", result={"state": "3", "active": "false"}),
    # The last task has moved the change.
    Step(FOUND_CHANGE, result={"state": "0"}),
    Step(CHANGE, '{"state":"0"}', result={"state": "0"}),
    Step(CHANGE, '{"state":"3"}', status=403),
    Step(CHANGE, "{" + CLOSED + "}", result={"state": "3", "close_code": "successful", "active": "false"}),
    Step("DELETE /api/now/table/change_request/$change", status=204),
]

EMERGENCY_LIFE = [
    FOUND_GROUP,
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"state":"-5","type":"emergency","assignment_group":"$group","short_description":"Restart the router",'
        '"chg_model":"emergency"}',
        status=201,
        keep={"change": "sys_id", "number": "number"},
    ),
    # An emergency has no assessment.
    Step(CHANGE, '{"state":"-4"}', status=403),
    Step(CHANGE, '{"state":"-3","assignment_group":"$group"}', result={"state": "-3", "approval": "requested"}),
    approved_by(BOARD),
    Step(FOUND_CHANGE, result={"state": "-2", "approval": "approved"}),
    Step(CHANGE, '{"state":"-1","type":"emergency","chg_model":"emergency"}', result={"state": "-1"}),
    Step(CHANGE, '{"state":"0"}', result={"state": "0"}),
    # The review task is still active.
    Step(CHANGE, "{" + CLOSED + "}", status=403),
    task_of_type("review"),
    Step(TASK, "{" + CLOSED + "}", result={"state": "3"}),
    Step(CHANGE, "{" + CLOSED + "}", result={"state": "3", "active": "false"}),
    Step("DELETE /api/now/table/change_request/$change", status=204),
]

CHANGE_REQUEST_TASK = [
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"short_description":"Move the launcher"}',
        status=201,
        keep={"change": "sys_id", "number": "number"},
    ),
    Step(query_of("cmdb_ci", name="Rogue Squadron Launcher"), keep={"item": "sys_id"}),
    Step(query_of("change_request", number="$number"), result={"sys_id": "$change"}),
    Step(query_of("sys_user", user_name=USER_NAME), keep={"user": "sys_id"}),
    Step(query_of("sys_user_group", name="Ansible Network"), keep={"group": "sys_id"}),
    Step(
        f"POST /api/now/table/change_task?{FLAT}",
        '{"approval":"approved","state":"-5","short_description":"Avoid collisions","description":"With sensors",'
        '"planned_start_date":"2021-07-15T08:00:00","planned_end_date":"2021-07-15T08:00:00",'
        '"change_task_type":"planning","cmdb_ci":"$item","change_request":"$change","assigned_to":"$user",'
        '"assignment_group":"$group"}',
        status=201,
        result={
            "state": "-5",
            "approval": "approved",
            "planned_end_date": "2021-07-15 08:00:00",
            "change_request": "$change",
            "parent": "$change",
            "cmdb_ci": "$item",
            "assigned_to": "$user",
        },
        keep={"task": "sys_id", "task_number": "number"},
    ),
    Step(query_of("change_task", number="$task_number"), result={"planned_start_date": "2021-07-15 08:00:00"}),
    Step(TASK, '{"state":"1"}', result={"state": "1"}),
    Step(TASK, '{"state":"2"}', result={"state": "2"}),
    Step(
        TASK,
        '{"on_hold":"true","hold_reason":"Waiting","on_hold_reason":"Waiting"}',
        result={"on_hold": "true", "on_hold_reason": "Waiting"},
    ),
    Step(TASK, '{"on_hold":"false"}', result={"on_hold": "false", "state": "2"}),
    # A closed task needs its close code and notes.
    Step(TASK, '{"state":"3"}', status=403),
    Step(
        TASK,
        '{"state":"3","close_code":"successful","close_notes":"Closed"}',
        result={"state": "3", "close_code": "successful", "active": "false"},
        keep={"count": "sys_mod_count"},
    ),
    Step(
        TASK,
        '{"state":"3","close_code":"successful","close_notes":"Closed"}',
        result={"state": "3", "sys_mod_count": "$count"},
    ),
    # The change has not begun its implementation: no task moves it.
    Step(query_of("change_request", number="$number"), result={"state": "-5"}),
    Step("DELETE /api/now/table/change_task/$task", status=204),
    Step(query_of("change_task", sys_id="$task"), result=[]),
    Step(
        f"POST /api/now/table/change_task?{FLAT}",
        '{"state":"1","short_description":"Not needed","change_request":"$change"}',
        status=201,
        result={"state": "1", "active": "true"},
        keep={"task": "sys_id"},
    ),
    Step(TASK, '{"state":"4"}', result={"state": "4", "active": "false"}),
    Step("DELETE /api/now/table/change_request/$change", status=204),
]

EITHER_OF_TWO = (
    "state=-5^assigned_to=maria.keller^short_description=Ansible info^NQstate=-4^correlation_id=ansible info"
)
DICT_AS_TEXT = quote_plus("{'display_value': 'x', 'value': 'y'}")

CHANGE_REQUEST_INFO = [
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"short_description":"Ansible info","assigned_to":"maria.keller"}',
        status=201,
        keep={"change": "sys_id", "user": "assigned_to"},
    ),
    Step(
        query_of("change_request", sysparm_query=EITHER_OF_TWO, sysparm_display_value="false"),
        result={"sys_id": "$change", "assigned_to": "$user"},
    ),
    Step(
        query_of("change_request", sysparm_query="chg_model=normal^short_description=Ansible info"),
        result={"sys_id": "$change"},
    ),
    Step(
        query_of("change_request", sys_id="$change", sysparm_display_value="true"),
        result={"state": "New", "assigned_to": "Maria Keller", "chg_model": "Normal", "priority": "4 - Low"},
    ),
    Step(f"GET /api/now/attachment?table_name=change_request&table_sys_id={DICT_AS_TEXT}{FILES_PAGE}", result=[]),
    Step(query_of("change_task", change_request="$change", sysparm_display_value="false"), result=[]),
]

API = [
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"short_description":"From the api module","correlation_id":"ansible api"}',
        status=201,
        keep={"change": "sys_id"},
    ),
    Step("GET /api/now/table/change_request/$change", result={"sys_id": "$change"}),
    Step(CHANGE, '{"short_description":"Changed"}', result={"short_description": "Changed"}),
    Step(
        "GET /api/now/table/change_request?sysparm_query=correlation_id%3Dansible+api&sysparm_display_value=false"
        "&sysparm_exclude_reference_link=False&sysparm_query_no_domain=False&sysparm_no_count=False"
        f"&sysparm_fields=short_description%2Cstate{PAGE}",
        result=[{"short_description": "Changed", "state": "-5"}],
    ),
    Step(
        "GET /api/now/table/change_request?sysparm_display_value=false&sysparm_exclude_reference_link=False"
        "&sysparm_query_no_domain=False&sysparm_no_count=False&sysparm_fields=&sys_id=$change" + PAGE,
        result={"sys_id": "$change", "short_description": "Changed"},
    ),
    Step("GET /api/now/table/change_request/$change", result={"correlation_id": "ansible api"}),
    Step("DELETE /api/now/table/change_request/$change", status=204),
]

CHOICES_AND_USERS = [
    Step(
        f"POST /api/now/table/sys_choice?{FLAT}",
        '{"name":"change_request","element":"category","label":"Network (Ansible)","value":6,"sequence":6}',
        status=201,
        result={"value": "6", "label": "Network (Ansible)"},
        keep={"choice": "sys_id"},
    ),
    Step(
        f"POST /api/now/table/change_request?{FLAT}",
        '{"short_description":"With a mapped category","category":"6"}',
        status=201,
        result={"category": "6"},
        keep={"change": "sys_id"},
    ),
    Step(
        query_of("change_request", sys_id="$change", sysparm_display_value="true"),
        result={"category": "Network (Ansible)"},
    ),
    Step("DELETE /api/now/table/change_request/$change", status=204),
    Step("DELETE /api/now/table/sys_choice/$choice", status=204),
    Step(
        f"POST /api/now/table/sys_user?sysparm_input_display_value=true&{FLAT}",
        '{"user_name":"ansible.user","name":"Ansible User","user_password":"ansible ansible"}',
        status=201,
        result={"user_name": "ansible.user"},
    ),
]


@pytest.fixture
def maria(server: Running, ca: Path) -> AnsibleClient:
    """A playbook with the password of a change manager."""
    return AnsibleClient(server.url, ca, USER_NAME, PASSWORD)


@pytest.fixture
def administrator_client(server: Running, ca: Path) -> AnsibleClient:
    return AnsibleClient(server.url, ca, "admin", ADMIN_PASSWORD)


@pytest.fixture(scope="module", autouse=True)
def looked_up(server: Running, administrator: requests.Session) -> None:
    """What playbooks name: a group and an item."""
    create_as(administrator, server, "sys_user_group", name="Ansible Network")
    for person, group in ((PEER, "Ansible Network"), (BOARD, "CAB Approval")):
        create_as(administrator, server, "sys_user", user_name=person, user_password=PASSWORD)
        create_as(administrator, server, "sys_user_grmember", user=person, group=group)
    create_as(administrator, server, "cmdb_ci", name="Rogue Squadron Launcher")


@pytest.fixture
def change(maria: AnsibleClient) -> str:
    """A change to attach files to."""
    answer = maria.send("POST", f"/api/now/table/change_request?{FLAT}", b'{"short_description":"With files"}')
    sys_id: str = answer.record["sys_id"]
    return sys_id


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(CHANGE_REQUEST, id="change_request"),
        pytest.param(STANDARD_CHANGE, id="change_request from a template"),
        pytest.param(NORMAL_LIFE, id="change_request and change_request_task of a normal change"),
        pytest.param(EMERGENCY_LIFE, id="change_request and change_request_task of an emergency"),
        pytest.param(CHANGE_REQUEST_TASK, id="change_request_task"),
        pytest.param(CHANGE_REQUEST_INFO, id="change_request_info and change_request_task_info"),
        pytest.param(API, id="api and api_info"),
    ],
)
def test_the_requests_of_a_module(steps: list[Step], maria: AnsibleClient) -> None:
    maria.play(steps)


def test_the_requests_of_an_administrators_playbook(
    administrator_client: AnsibleClient, server: Running, ca: Path
) -> None:
    administrator_client.play(CHOICES_AND_USERS)

    user = AnsibleClient(server.url, ca, "ansible.user", "ansible ansible")
    assert user.send("GET", query_of("sys_user", user_name="ansible.user").partition(" ")[2]).status == 200


def upload(client: AnsibleClient, change: str, data: bytes) -> dict[str, str]:
    """Upload as the module does, which names type and hash in the query too, and checks no status."""
    query = f"table_name=change_request&table_sys_id={change}&file_name=deploy.log&content_type=text%2Fplain"
    target = f"/api/now/attachment/file?{query}&hash={hashlib.sha256(data).hexdigest()}"
    answer = client.send("POST", target, data, "text/plain")
    assert answer.status == 201
    return answer.record


def test_attachment_upload_sends_a_file_again_only_when_its_hash_differs(maria: AnsibleClient, change: str) -> None:
    uploaded = upload(maria, change, LOG)
    assert (uploaded["hash"], uploaded["size_bytes"]) == (hashlib.sha256(LOG).hexdigest(), str(len(LOG)))
    files = maria.send("GET", FILES_OF_CHANGE.replace("$change", change).partition(" ")[2])
    assert files.headers["x-total-count"] == "1"
    assert (files.record["file_name"], files.record["hash"]) == ("deploy.log", uploaded["hash"])

    assert maria.send("DELETE", f"/api/now/attachment/{uploaded['sys_id']}").status == 204
    assert upload(maria, change, LONGER_LOG)["hash"] != uploaded["hash"]
    again = maria.send("GET", FILES_OF_CHANGE.replace("$change", change).partition(" ")[2])
    assert again.record["size_bytes"] == str(len(LONGER_LOG))


def test_attachment_info_reads_a_file_while_it_accepts_json(maria: AnsibleClient, change: str) -> None:
    sys_id = upload(maria, change, LOG)["sys_id"]

    answer = maria.send("GET", f"/api/now/attachment/{sys_id}/file")

    assert (answer.status, answer.data) == (200, LOG)
    assert json.loads(answer.headers["x-attachment-metadata"])["size_bytes"] == str(len(LOG))


def test_attachment_info_shows_why_there_is_no_file(maria: AnsibleClient) -> None:
    answer = maria.send("GET", f"/api/now/attachment/{'f' * 32}/file")

    assert answer.status == 404
    assert "Record" in answer.json["error"]["detail"]


def test_list_loop_reads_until_the_total_count(maria: AnsibleClient) -> None:
    for number in range(7):
        body = f'{{"short_description":"{number}","correlation_id":"ansible loop"}}'
        assert maria.send("POST", f"/api/now/table/change_request?{FLAT}", body.encode()).status == 201

    for batch in (3, 7, 1000):
        found = maria.list_records("/api/now/table/change_request", {"correlation_id": "ansible loop"}, batch)
        assert sorted(record["short_description"] for record in found) == [str(number) for number in range(7)]


def test_an_empty_list_ends_the_loop(maria: AnsibleClient) -> None:
    assert list(maria.list_records("/api/now/table/change_request", {"correlation_id": "ansible nothing"})) == []


def test_an_unknown_table_is_neither_found_nor_missing(maria: AnsibleClient) -> None:
    answer = maria.send("GET", query_of("bad_table_name", sysparm_display_value="false").partition(" ")[2])

    assert answer.status == 400
    assert b"Invalid table bad_table_name" in answer.data


@pytest.mark.parametrize("sys_id", ["nonexistent sys ID", "f" * 32])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_sys_id_is_answered_without_a_result(maria: AnsibleClient, method: str, sys_id: str) -> None:
    body = b'{"short_description":"x"}' if method == "PATCH" else None
    answer = maria.send(method, f"/api/now/table/change_request/{quote(sys_id)}", body)

    assert answer.status == 404
    assert "result" not in answer.json
    assert "Record" in answer.json["error"]["detail"]


def test_a_long_query_goes_round_by_a_tiny_url_page_by_page(maria: AnsibleClient) -> None:
    for number in range(5):
        body = f'{{"short_description":"{number}","correlation_id":"ansible tiny"}}'
        assert maria.send("POST", f"/api/now/table/change_request?{FLAT}", body.encode()).status == 201
    found, offset, total = [], 0, 1
    query = "correlation_id=ansible tiny^numberNOT IN" + ",".join(f"CHG{number:07}" for number in range(300))

    while offset < total:
        answer = through_tiny_url(maria, f"sysparm_query={quote_plus(query)}&{FLAT}", offset)
        found += [record["short_description"] for record in answer.json["result"]]
        total, offset = int(answer.headers["x-total-count"]), offset + 2
    assert sorted(found) == [str(number) for number in range(5)]


def through_tiny_url(client: AnsibleClient, query: str, offset: int) -> Answer:
    path = "/api/now/table/change_request"
    url = f"{client.url}{path}?{query}&sysparm_limit=2&sysparm_offset={offset}"
    assert len(url) > LONGEST_URL
    made = client.send("POST", "/api/now/tinyurl", json.dumps({"url": url}, separators=(",", ":")).encode())
    assert made.status in {200, 201}
    token = made.json["result"].partition("sysparm_tiny=")[2]
    return client.send("GET", f"{path}?sysparm_tiny={token}")


def test_a_wrong_password_is_an_authentication_failure(server: Running, ca: Path) -> None:
    client = AnsibleClient(server.url, ca, USER_NAME, "wrong")

    answer = client.send("GET", query_of("change_request", number="CHG0000001").partition(" ")[2])

    assert answer.status == 401
    assert "www-authenticate" in answer.headers
