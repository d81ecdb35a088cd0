"""Client authentication: which integration a token request is for."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from changegate.extensions import db
from changegate.oauth_errors import AssertionRefused, InvalidClient
from changegate.services.oauth.client_authentication import ClientCredentials, authenticate_client
from tests.support.token_desk import ISSUER, ROBOT, Integration, TokenDesk

ADDRESS = "192.0.2.1"


def _credentials(integration: Integration) -> ClientCredentials:
    return ClientCredentials(integration.client_id, integration.secret, address=ADDRESS)


def _reason(credentials: ClientCredentials, assertion: str | None = None) -> str:
    with pytest.raises(InvalidClient) as caught:
        authenticate_client(credentials, assertion)
    return caught.value.reason


def test_a_client_comes_with_all_that_an_exchange_needs(desk: TokenDesk) -> None:
    integration = desk.register(clock_skew_seconds=0, access_token_lifespan_seconds=60, algorithms=["ES256"])

    client = authenticate_client(_credentials(integration), None)

    assert (client.entity, client.client_id) == (integration.sys_id, integration.client_id)
    assert client.policy.issuer == ISSUER
    assert client.policy.algorithms == {"ES256"}
    assert client.policy.clock_skew == timedelta(0)
    assert client.token_lifespan == timedelta(seconds=60)
    assert client.scopes == ("change_request.create",)
    assert (client.is_run_as_active, client.user_field) == (True, None)
    assert client.source.url == desk.jwks.url()


def test_a_client_is_read_in_one_statement(desk: TokenDesk) -> None:
    integration = desk.register()
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, text, *_rest: statements.append(text))

    authenticate_client(_credentials(integration), None)

    assert len(statements) <= 1


@pytest.mark.parametrize("client_id", ["", "\0", "nobody", "%", "' OR 1=1 --", "x" * 300])
def test_an_invented_client_id_is_refused(desk: TokenDesk, client_id: str) -> None:
    desk.register()

    assert _reason(ClientCredentials(client_id, "secret", address=ADDRESS)) == "client_unknown"


def test_a_client_id_is_compared_with_case(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.set(integration, client_id="a" * 32)

    assert _reason(ClientCredentials("A" * 32, integration.secret, address=ADDRESS)) == "client_unknown"


def test_the_secret_of_another_client_is_refused(desk: TokenDesk) -> None:
    one, other = desk.register("One"), desk.register("Other")

    assert _reason(ClientCredentials(one.client_id, other.secret, address=ADDRESS)) == "client_secret_bad"


def test_a_request_without_client_id_and_assertion_is_refused(desk: TokenDesk) -> None:
    desk.register(public_client=True)

    assert _reason(ClientCredentials(None, None, address=ADDRESS)) == "client_unknown"


def test_an_inactive_public_client_is_not_found_by_its_issuer(desk: TokenDesk) -> None:
    desk.register(public_client=True, active=False)

    assert _reason(ClientCredentials(None, None, address=ADDRESS), desk.assertion()) == "client_unknown"


def test_an_unreadable_assertion_finds_no_client(desk: TokenDesk) -> None:
    with pytest.raises(AssertionRefused):
        authenticate_client(ClientCredentials(None, None, address=ADDRESS), "nonsense")


@pytest.mark.parametrize("column", ["algorithms", "audiences"])
def test_a_list_that_is_missing_in_the_database_admits_nothing(desk: TokenDesk, column: str) -> None:
    integration = desk.register()
    desk.set(integration, **{column: []})

    assert desk.exchange(integration).status_code == 400


def test_repr_of_credentials_contains_no_secret() -> None:
    assert "s3cret" not in repr(ClientCredentials("client", "s3cret", address=ADDRESS))
    assert ROBOT not in repr(ClientCredentials(ROBOT, None, address=ADDRESS))
