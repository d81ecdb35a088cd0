"""panva's oidc-provider: access tokens of RFC 9068, typ at+jwt, signed with RSA, EC and Ed25519 keys of one set."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.identity_providers.conftest import ReasonFor
from tests.identity_providers.onboarding import Console
from tests.identity_providers.processes import Provider, running_oidc_provider
from tests.support.live_desk import AUDIENCE, LiveDesk
from tests.support.servers import Running

ALGORITHMS = ["RS256", "ES256", "EdDSA"]
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_oidc_provider() as running:
        yield running


@pytest.fixture
def desk(administrator: Console, provider: Provider) -> Iterator[LiveDesk]:
    """An integration that was made with the form, for all that the provider signs with."""
    choices = {"algorithms": ALGORITHMS, "required_typ": "at+jwt"}
    with administrator.onboarded(provider.issuer, **choices) as onboarded:
        yield onboarded


@every_algorithm
def test_its_token_is_exchanged_for_one_that_creates_a_change(
    desk: LiveDesk, provider: Provider, algorithm: str
) -> None:
    assert desk.call(desk.token(provider.client_credentials(algorithm))).status_code == 201


def test_the_command_onboards_it_as_the_form_does(server: Running, provider: Provider) -> None:
    told = ("--issuer", provider.issuer, "--jwks-url", provider.jwks_url, "--audience", AUDIENCE, "--run-as", "admin")
    choices = ("--algorithm", "EdDSA", "--required-typ", "at+jwt", "--no-public")
    names = ("--name", "by command", "--provider-name", "oidc-provider")
    made = server.changegate("integration", "create", *names, *told, *choices, "--json")
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    credentials = {name: shown[name] for name in ("client_id", "client_secret")}
    with closing(LiveDesk(server.url, provider.issuer, credentials)) as desk:
        assert desk.call(desk.token(provider.client_credentials("EdDSA"))).status_code == 201


def test_access_tokens_are_no_grant_unless_the_form_asks_for_them(
    administrator: Console, provider: Provider, reason: ReasonFor
) -> None:
    with administrator.onboarded(provider.issuer) as desk:
        assert reason(desk.exchange(provider.client_credentials("RS256"))) == "typ_not_allowed"


def test_an_algorithm_is_used_where_the_form_allows_it(
    administrator: Console, provider: Provider, reason: ReasonFor
) -> None:
    choices = {"algorithms": ["RS256", "ES256"], "required_typ": "at+jwt"}
    with administrator.onboarded(provider.issuer, **choices) as desk:
        desk.token(provider.client_credentials("ES256"))
        assert reason(desk.exchange(provider.client_credentials("EdDSA"))) == "alg_not_allowed"


@every_algorithm
def test_a_rotation_with_overlap_is_followed(desk: LiveDesk, provider: Provider, algorithm: str) -> None:
    desk.token(provider.client_credentials(algorithm))
    signed_before = provider.client_credentials(algorithm)

    provider.tell("/rotate")

    desk.token(provider.client_credentials(algorithm))
    desk.token(signed_before)


@every_algorithm
def test_a_rotation_that_forgets_the_old_keys_ends_their_tokens(
    desk: LiveDesk, provider: Provider, algorithm: str, reason: ReasonFor
) -> None:
    desk.token(provider.client_credentials(algorithm))
    signed_before = provider.client_credentials(algorithm)

    provider.tell("/rotate?forget")

    desk.token(provider.client_credentials(algorithm))
    assert reason(desk.exchange(signed_before)) == "kid_unknown"
