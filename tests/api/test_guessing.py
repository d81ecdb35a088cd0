"""While there were too many wrong guesses, no guess is compared at any door, also for those who were proven before."""

from collections.abc import Callable
from unittest import mock

import pytest
from werkzeug.test import TestResponse

from changegate.failure_limit import FAILURES_PER_MINUTE, GUESSES_PER_MINUTE
from changegate.services.oauth import client_authentication
from changegate.services.oauth.grant_types import CLIENT_CREDENTIALS
from changegate.services.users import verified_passwords
from tests.conftest import basic
from tests.console.visitor import Visitor
from tests.support.grant_desk import MARIA, PASSWORD, GrantDesk
from tests.support.token_desk import CHANGES, RFC_PATH, SERVICENOW_PATH, TokenDesk, basic_header

pytestmark = pytest.mark.usefixtures("allowed_passwords")
GRANT = {"grant_type": CLIENT_CREDENTIALS}
ELSEWHERE = "192.0.2.7"
# Sends a password or secret to one door; `MARIA`'s for users, that of an integration for clients.
Door = Callable[["GuessDesk", str], TestResponse]


class GuessDesk:
    """An instance with a user, a client that accepts passwords, and one with a secret."""

    def __init__(self, desk: TokenDesk) -> None:
        self.desk, self.grants = desk, GrantDesk(desk)
        self.grants.add_maria()
        self.mobile = self.grants.register("password")
        self.client = self.grants.register(CLIENT_CREDENTIALS)

    def call(self, secret: str, path: str = CHANGES, user_name: str = MARIA) -> TestResponse:
        with self.desk.app.app_context():
            return self.desk.client.get(path, headers=basic(user_name, secret))

    def log_in(self, secret: str) -> TestResponse:
        with self.desk.app.app_context():
            browser = self.desk.app.test_client()
            browser.environ_base["REMOTE_ADDR"] = self.address
            return Visitor(browser).sign_in(MARIA, secret)

    def ask(self, path: str, secret: str, form: dict[str, str]) -> TestResponse:
        """Send a client's secret in the form."""
        return self.desk.send({**form, "client_id": self.client.client_id, "client_secret": secret}, path)

    def ask_by_header(self, path: str, secret: str, form: dict[str, str]) -> TestResponse:
        """Send a client's secret in a Basic header."""
        return self.desk.send(form, path, headers=basic_header(self.client.client_id, secret))

    @property
    def address(self) -> str:
        found: str = self.desk.client.environ_base.get("REMOTE_ADDR", "127.0.0.1")
        return found

    @address.setter
    def address(self, address: str) -> None:
        self.desk.client.environ_base["REMOTE_ADDR"] = address


DOORS: dict[str, tuple[Door, int]] = {
    "Table API": (lambda at, secret: at.call(secret), 401),
    "admin API": (lambda at, secret: at.call(secret, "/api/now/oauth/integrations"), 401),
    "password grant": (lambda at, secret: at.grants.by_password(at.mobile, password=secret), 400),
    "password grant of ServiceNow": (
        lambda at, secret: at.grants.by_password(at.mobile, SERVICENOW_PATH, password=secret),
        401,
    ),
    "login": (lambda at, secret: at.log_in(secret), 403),
    "secret in the form": (lambda at, secret: at.ask(RFC_PATH, secret, GRANT), 401),
    "secret in a header": (lambda at, secret: at.ask_by_header(RFC_PATH, secret, GRANT), 401),
    "secret at ServiceNow's path": (lambda at, secret: at.ask(SERVICENOW_PATH, secret, GRANT), 401),
    "introspection": (lambda at, secret: at.ask("/oauth/introspect", secret, {"token": "x"}), 401),
    "introspection by header": (lambda at, secret: at.ask_by_header("/oauth/introspect", secret, {"token": "x"}), 401),
    "revocation": (lambda at, secret: at.ask("/oauth/revoke", secret, {"token": "x"}), 401),
}
OF_USERS = [name for name in DOORS if name.startswith(("Table", "admin", "password", "login"))]
OF_CLIENTS = [name for name in DOORS if name not in OF_USERS]


@pytest.fixture
def at(either_desk: TokenDesk) -> GuessDesk:
    return GuessDesk(either_desk)


def right_secret(at: GuessDesk, door: str) -> str:
    """Return valid credentials for an entry point; only an administrator may use the admin API."""
    return PASSWORD if door in OF_USERS else str(at.client.secret)


def is_open(answer: TestResponse, door: str) -> bool:
    """Return whether who came was proven, whatever they may do then."""
    return answer.status_code in ({403} if door == "admin API" else {200, 302})


def assert_nothing_is_compared(at: GuessDesk, door: str, secret: str) -> None:
    never = mock.Mock(side_effect=AssertionError("a guess was compared"))
    compared = (
        (verified_passwords.VerifiedPasswords, "is_right")
        if door in OF_USERS
        else (client_authentication, "is_right_secret")
    )
    with mock.patch.object(*compared, never):
        answer = DOORS[door][0](at, secret)
    assert answer.status_code == 429, (door, answer.text)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("door", DOORS)
def test_no_guess_is_compared_while_too_many_at_the_name_were_wrong(at: GuessDesk, door: str) -> None:
    send, refused = DOORS[door]
    right = right_secret(at, door)
    assert is_open(send(at, right), door), "proven in this process, at this address, before"

    guesses = [send(at, f"guess{number}").status_code for number in range(FAILURES_PER_MINUTE.amount)]

    assert guesses == [refused] * FAILURES_PER_MINUTE.amount
    for other in OF_USERS if door in OF_USERS else OF_CLIENTS:
        assert_nothing_is_compared(at, other, right)
    at.address = ELSEWHERE
    assert is_open(send(at, right), door)


def test_no_guess_is_compared_while_too_many_at_the_address_were_wrong(at: GuessDesk) -> None:
    for door, (send, _) in DOORS.items():
        assert is_open(send(at, right_secret(at, door)), door)

    names = [f"made.up{number}" for number in range(GUESSES_PER_MINUTE.amount)]
    assert {at.call("wrong", user_name=name).status_code for name in names} == {401}

    for door in DOORS:
        assert_nothing_is_compared(at, door, right_secret(at, door))
    at.address = ELSEWHERE
    for door, (send, _) in DOORS.items():
        assert is_open(send(at, right_secret(at, door)), door)


@pytest.mark.parametrize("door", OF_CLIENTS)
def test_made_up_clients_first_give_no_guesses_at_a_real_one(at: GuessDesk, door: str) -> None:
    """Refusals that are rate-limited for an unknown client used to be uncounted, although each secret was compared."""
    for number in range(FAILURES_PER_MINUTE.amount):
        at.desk.send({**GRANT, "client_id": f"made-up{number}", "client_secret": "wrong"})
    statuses = [DOORS[door][0](at, f"guess{number}").status_code for number in range(FAILURES_PER_MINUTE.amount)]

    assert set(statuses) == {429}
    assert_nothing_is_compared(at, door, str(at.client.secret))


def test_wrong_secrets_of_made_up_clients_count_for_the_address(at: GuessDesk) -> None:
    for number in range(GUESSES_PER_MINUTE.amount):
        at.desk.send({**GRANT, "client_id": f"made-up{number}", "client_secret": "wrong"})

    assert_nothing_is_compared(at, "Table API", PASSWORD)


def test_clients_without_a_secret_go_on_at_an_address_that_guesses(at: GuessDesk) -> None:
    public = at.desk.register("Public", public_client=True)
    token = at.desk.token(public)
    for number in range(GUESSES_PER_MINUTE.amount):
        at.call("wrong", user_name=f"made.up{number}")

    assert at.desk.exchange(public).status_code == 200
    assert at.desk.call(token).status_code == 201
