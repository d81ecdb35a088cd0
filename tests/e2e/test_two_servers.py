"""Two server processes on one database, asked at the same time: what is to happen once happens once."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests
from sqlalchemy import create_engine, delete

from changegate.models import OAuthTokenKey
from tests.conftest import ADMIN_PASSWORD
from tests.e2e.conftest import Servers
from tests.support.live_desk import INTEGRATIONS, JWT_BEARER, LiveDesk, administer, repeated
from tests.support.servers import Running

JWKS = "/api/now/oauth/jwks"
QUOTA = 7
THREADS = 20
TIMEOUT_SECONDS = 60
TABLES = "/api/now/table"


@pytest.fixture
def desk(servers: Servers, idp_url: str, request: pytest.FixtureRequest) -> Iterator[LiveDesk]:
    """An automation whose integration has the fields that a test asks for."""
    registered = LiveDesk.enrol(servers[0], idp_url, **getattr(request, "param", {}))
    yield registered
    registered.close()


def at_both(servers: Servers, send: Callable[[Running, int], requests.Response]) -> list[requests.Response]:
    """Send to both servers in turns, and everything at once; return the answers."""

    def send_to_one(number: int) -> requests.Response:
        return repeated(lambda: send(servers[number % 2], number))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(send_to_one, range(THREADS)))


def exchange_all(servers: Servers, desk: LiveDesk, assertions: Sequence[str]) -> list[requests.Response]:
    """Exchange so many assertions at once."""

    def send(server: Running, number: int) -> requests.Response:
        form = {"grant_type": JWT_BEARER, "assertion": assertions[number], **desk.credentials}
        return requests.post(f"{server.url}/oauth/token", data=form, timeout=TIMEOUT_SECONDS)

    return at_both(servers, send)


def status_at(server: Running, desk: LiveDesk, token: str) -> int:
    desk.url = server.url
    return desk.call(token).status_code


def test_an_assertion_is_exchanged_once_across_two_servers(servers: Servers, desk: LiveDesk) -> None:
    answers = exchange_all(servers, desk, [desk.sign()] * THREADS)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: THREADS - 1}
    [token] = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    assert [status_at(server, desk, token) for server in servers] == [201, 201]
    assert servers[0].changegate("integration", "disable", desk.client_id).returncode == 0
    assert [status_at(server, desk, token) for server in servers] == [401, 401]


@pytest.mark.parametrize("desk", [{"creations_per_hour": QUOTA}], indirect=True, ids=["quota"])
def test_twenty_requests_to_both_create_what_the_quota_allows_and_a_new_one_counts_at_once(
    servers: Servers, desk: LiveDesk
) -> None:
    token = desk.token()

    def create(server: Running, _: int) -> requests.Response:
        return LiveDesk(server.url, desk.idp_url, desk.credentials).call(token)

    answers = at_both(servers, create)
    assert Counter(answer.status_code for answer in answers) == {201: QUOTA, 429: THREADS - QUOTA}
    integration = f"{INTEGRATIONS}/{desk.client_id}"
    for quota, statuses in ((QUOTA + 2, [201, 201, 429]), (1, [429, 429]), (None, [201, 201])):
        administer(servers[0], "PATCH", integration, creations_per_hour=quota)
        assert [status_at(servers[number % 2], desk, token) for number in range(1, 1 + len(statuses))] == statuses


def forget_token_keys(server: Running) -> None:
    """Let there be no token key, as before the first token in JWT format."""
    engine = create_engine(server.environment["CHANGEGATE_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(delete(OAuthTokenKey))
    engine.dispose()


def kids(server: Running) -> list[str]:
    keys = requests.get(server.url + JWKS, timeout=TIMEOUT_SECONDS).json()["keys"]
    return [key["kid"] for key in keys]


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def token_from(server: Running, desk: LiveDesk) -> str:
    desk.url = server.url
    return desk.token()


@pytest.mark.parametrize("desk", [{"token_format": "jwt"}], indirect=True, ids=["jwt"])
def test_a_token_is_accepted_and_revoked_across_two_servers(servers: Servers, desk: LiveDesk) -> None:
    one, other = servers
    forget_token_keys(one)
    answers = exchange_all(servers, desk, [desk.sign() for _ in range(THREADS)])
    first = [answer.json()["access_token"] for answer in answers]
    assert {kid_of(token) for token in first} == {*kids(one)}
    assert len(kids(one)) == 1
    assert {status_at(server, desk, token) for server in servers for token in first} == {201}

    # A key is blocked through one, after both have verified tokens by it.
    assert one.changegate("token-key", "block", kid_of(first[0])).returncode == 0
    assert {status_at(other, desk, token) for token in first} == {401}
    assert status_at(one, desk, first[0]) == 401
    second = token_from(other, desk)
    assert kids(one) == kids(other) == [kid_of(second)] != [kid_of(first[0])]
    assert {status_at(server, desk, second) for server in servers} == {201}

    # A rotation publishes a key at both, and neither signs with it yet.
    rotated = other.changegate("token-key", "rotate", "--json")
    assert rotated.returncode == 0, rotated.stderr
    waiting = json.loads(rotated.stdout)["kid"]
    assert kids(one) == kids(other) == [kid_of(second), waiting]
    assert {kid_of(token_from(server, desk)) for server in servers} == {kid_of(second)}

    # The integration is disabled through the other.
    administer(other, "POST", f"{INTEGRATIONS}/{desk.client_id}/disable")
    assert {status_at(server, desk, second) for server in servers} == {401}


def test_callers_at_both_servers_move_a_change_once(servers: Servers) -> None:
    """Of moves that exclude each other, one is made, with all its effects; repeated moves change nothing."""
    group = administer(servers[0], "POST", f"{TABLES}/sys_user_group", name="Movers")["sys_id"]
    imported = {"assignment_group": group, "approval": "approved", "state": "-2"}
    change = administer(servers[1], "POST", f"{TABLES}/change_request", **imported)["sys_id"]

    def write_states(*states: str) -> list[requests.Response]:
        def send(server: Running, number: int) -> requests.Response:
            url, state = f"{server.url}{TABLES}/change_request/{change}", states[number // 2 % len(states)]
            admin = ("admin", ADMIN_PASSWORD)
            return requests.patch(url, json={"state": state}, auth=admin, timeout=TIMEOUT_SECONDS)

        return at_both(servers, send)

    assert {answer.status_code for answer in write_states("-1")} == {200}
    tasks = f"{TABLES}/change_task?sysparm_query=change_request={change}&sysparm_fields=state"
    assert administer(servers[0], "GET", tasks) == [{"state": "1"}, {"state": "1"}]
    answers = write_states("0", "4")
    reached = administer(servers[1], "GET", f"{TABLES}/change_request/{change}")["state"]
    assert reached in {"0", "4"}
    for number, answer in enumerate(answers):
        wins = ("0", "4")[number // 2 % 2] == reached
        assert answer.status_code == 200 if wins else answer.status_code in {403, 409}, answer.text
    assert administer(servers[1], "GET", tasks) == [{"state": "4"}, {"state": "4"}]


def test_people_at_both_servers_approve_a_change_once(servers: Servers) -> None:
    """Of many approvals at once, as many count as are required, and the change moves once."""
    one, other = servers
    names = [f"approver.{number}" for number in range(THREADS)]
    users = [
        administer(one, "POST", f"{TABLES}/sys_user", user_name=name, user_password=ADMIN_PASSWORD)["sys_id"]
        for name in names
    ]
    group = administer(one, "POST", f"{TABLES}/sys_user_group", name="Approvers")["sys_id"]
    policy = administer(one, "POST", f"{TABLES}/chg_policy_approval", name="Five", state="-3", order="1")["sys_id"]
    rule = {"approver_source": "users", "users": ",".join(users), "wait_for": "percentage", "value": "25"}
    administer(one, "POST", f"{TABLES}/chg_approval_def", policy=policy, name="Five of twenty", **rule)
    administer(other, "PATCH", f"{TABLES}/chg_policy_approval/{policy}", active="true")
    change = administer(one, "POST", f"{TABLES}/change_request", type="emergency", assignment_group=group)["sys_id"]
    administer(other, "PATCH", f"{TABLES}/change_request/{change}", state="-3")
    fields = "sys_id,state,approver.user_name"
    query = f"{TABLES}/sysapproval_approver?sysparm_query=sysapproval={change}&sysparm_fields={fields}"
    approvals = {row["approver.user_name"]: row["sys_id"] for row in administer(other, "GET", query)}

    def approve(server: Running, number: int) -> requests.Response:
        url = f"{server.url}{TABLES}/sysapproval_approver/{approvals[names[number]]}"
        person = (names[number], ADMIN_PASSWORD)
        return requests.patch(url, json={"state": "approved"}, auth=person, timeout=TIMEOUT_SECONDS)

    answers = at_both(servers, approve)
    assert Counter(answer.status_code for answer in answers) == {200: 5, 403: THREADS - 5}
    states = Counter(row["state"] for row in administer(one, "GET", query))
    assert states == {"approved": 5, "not_required": THREADS - 5}
    decisions = f"{TABLES}/chg_approval_decision?sysparm_query=change_request={change}^ORDERBYsequence"
    assert [row["outcome"] for row in administer(one, "GET", decisions)] == ["requested", "approved"]
    moved = f"{TABLES}/chg_history?sysparm_query=subject_id={change}^kind=moved"
    assert len(administer(other, "GET", moved)) == 2
    assert administer(one, "GET", f"{TABLES}/change_request/{change}")["state"] == "-2"
