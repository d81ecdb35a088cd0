"""The story, step by step, over live ports; the demo tells it too, and here every detail is looked at."""

import re
from collections.abc import Iterator

import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import CHANGES, LiveDesk
from tests.support.servers import Running

MISSING_SCOPE = "Missing required api access scope"


def test_an_automation_creates_a_change_and_may_do_nothing_else(desk: LiveDesk) -> None:
    assertion = desk.sign()
    token = desk.token(assertion)

    created = desk.call(token, short_description="Deploy checkout", type="standard")
    change = created.json()["result"]
    record = f"{CHANGES}/{change['sys_id']}"

    assert created.status_code == 201
    assert re.fullmatch(r"CHG\d{7}", change["number"])
    assert (change["short_description"], change["type"]) == ("Deploy checkout", "standard")
    assert created.headers["Location"] == f"{desk.url}{record}"
    assert desk.exchange(assertion).status_code == 401
    for method, path in (("GET", "/api/now/table/sys_user"), ("GET", record), ("DELETE", record), ("PATCH", record)):
        refused = desk.call(token, method, path)
        assert (refused.status_code, refused.json()["error"]["message"]) == (403, MISSING_SCOPE)
    read = requests.get(desk.url + record, auth=("admin", ADMIN_PASSWORD), timeout=60)
    assert read.json()["result"]["number"] == change["number"]


def test_a_rotation_with_overlap_is_served_without_anyone_touching_anything(desk: LiveDesk) -> None:
    signed_before = desk.sign()
    desk.token()

    desk.tell_provider("rotate")

    desk.token(desk.sign())
    desk.token(signed_before)
    desk.tell_provider("retire")
    desk.token(desk.sign())


def test_a_provider_outage_does_not_stop_exchanges_with_cached_keys(desk: LiveDesk) -> None:
    desk.token()
    desk.tell_provider("down")
    try:
        desk.token(desk.sign())
    finally:
        desk.tell_provider("recover")


def test_a_provider_that_was_never_reached_is_waited_for(desk: LiveDesk, server: Running) -> None:
    desk.tell_provider("down")
    try:
        unreached = LiveDesk.enrol(server, desk.idp_url)
        for path, error in (("/oauth/token", "temporarily_unavailable"), ("/oauth_token.do", "server_error")):
            answer = unreached.exchange(path=path)
            assert (answer.status_code, answer.json()["error"]) == (503, error)
            assert "Retry-After" in answer.headers
    finally:
        desk.tell_provider("recover")


def test_a_disabled_integration_stops_at_the_next_request(desk: LiveDesk, server: Running) -> None:
    token = desk.token()

    assert server.changegate("integration", "disable", desk.client_id).returncode == 0
    assert desk.call(token).status_code == 401
    assert desk.exchange().status_code == 401

    assert server.changegate("integration", "enable", desk.client_id).returncode == 0
    assert desk.call(token).status_code == 401
    assert desk.call(desk.token()).status_code == 201


def test_a_secret_rotated_by_command_counts_at_the_next_request(desk: LiveDesk, server: Running) -> None:
    rotated = server.changegate("integration", "rotate-secret", desk.client_id)
    secret = rotated.stdout.split()[2]

    assert desk.exchange().status_code == 401
    assert desk.exchange(client_secret=secret).status_code == 200


def test_a_password_set_by_command_counts_at_the_next_request(server: Running) -> None:
    def list_changes(password: str) -> int:
        return requests.get(server.url + CHANGES, auth=("maria", password), timeout=60).status_code

    server.changegate("user", "create", "maria", "--password", "the first one", "--role", "itil")
    assert [list_changes("the first one"), list_changes("the second one")] == [200, 401]
    server.changegate("user", "set-password", "maria", "--password", "the second one")
    assert [list_changes("the first one"), list_changes("the second one")] == [401, 200]


def test_a_body_without_a_length_is_limited_too(desk: LiveDesk) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"grant_type=x&filler="
        for _ in range(200):
            yield b"x" * 1024

    answer = requests.post(
        f"{desk.url}/oauth/token",
        data=chunks(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=60,
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_other_methods_are_refused_over_the_wire(server: Running) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = requests.request(method, f"{server.url}/oauth_token.do", timeout=60)
        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]
        assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
