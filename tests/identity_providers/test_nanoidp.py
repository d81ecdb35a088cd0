"""nanoidp: client credentials, and keys that rotate while it runs; two former ones stay in its set."""

from collections.abc import Iterator

import pytest

from tests.identity_providers.conftest import ReasonFor
from tests.identity_providers.onboarding import Console
from tests.identity_providers.processes import PIPELINE, Provider, running_nanoidp
from tests.support.live_desk import AUDIENCE, LiveDesk
from tests.support.servers import Running

ROTATE = "/api/keys/rotate"
KEPT_KEYS = 2


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_nanoidp(tmp_path_factory.mktemp("nanoidp")) as running:
        yield running


@pytest.fixture
def desk(administrator: Console, provider: Provider) -> Iterator[LiveDesk]:
    """An integration that was made with the form, and as it makes one by default."""
    with administrator.onboarded(provider.issuer) as onboarded:
        yield onboarded


def test_its_issuer_leads_the_form_to_its_keys(administrator: Console, provider: Provider) -> None:
    page = administrator.test_connection(provider.issuer)
    assert f'value="{provider.jwks_url}"' in page
    assert "Connected." in page
    assert provider.kids()[0] in page


def test_a_token_that_was_tried_in_the_form_is_still_good(
    administrator: Console, desk: LiveDesk, provider: Provider
) -> None:
    assertion = provider.client_credentials()
    for _ in range(2):
        assert "It would be accepted" in administrator.try_token(provider.issuer, assertion)
    desk.token(assertion)


def test_its_token_is_exchanged_for_one_that_creates_a_change(desk: LiveDesk, provider: Provider) -> None:
    created = desk.call(desk.token(provider.client_credentials()), short_description="Deploy checkout")
    assert created.status_code == 201
    assert created.json()["result"]["short_description"] == "Deploy checkout"


def test_its_token_cannot_be_exchanged_twice(desk: LiveDesk, provider: Provider, reason: ReasonFor) -> None:
    assertion = provider.client_credentials()
    desk.token(assertion)
    assert reason(desk.exchange(assertion)) == "jti_replayed"


def test_its_subject_can_choose_the_user(administrator: Console, provider: Provider, server: Running) -> None:
    made = server.changegate("user", "create", PIPELINE, "--role", "itil")
    assert made.returncode == 0, made.stderr
    mapped = {"subject_rule": "user_field", "user_field": "user_name", "run_as": None}
    with administrator.onboarded(provider.issuer, **mapped) as desk:
        created = desk.call(desk.token(provider.client_credentials())).json()["result"]
    assert created["sys_created_by"] == PIPELINE


def test_a_token_for_another_api_is_refused(desk: LiveDesk, provider: Provider, reason: ReasonFor) -> None:
    elsewhere = provider.client_credentials(resource="https://billing.example.com")
    assert reason(desk.exchange(elsewhere)) == "aud_mismatch"
    desk.token(provider.client_credentials(resource=AUDIENCE))


def test_a_rotation_is_followed_by_the_first_token_of_the_new_key(desk: LiveDesk, provider: Provider) -> None:
    desk.token(provider.client_credentials())
    signed_before = provider.client_credentials()

    provider.tell(ROTATE)

    desk.token(provider.client_credentials())
    # Its key is still published.
    desk.token(signed_before)


def test_a_key_that_left_the_set_is_trusted_no_longer(desk: LiveDesk, provider: Provider, reason: ReasonFor) -> None:
    former = provider.kids()[0]
    desk.token(provider.client_credentials())
    signed_before = [provider.client_credentials() for _ in range(2)]

    for _ in range(KEPT_KEYS + 1):
        provider.tell(ROTATE)
    assert former not in provider.kids()

    # Until a token of a newer key arrives, there is no reason to ask for the set again.
    desk.token(signed_before[0])
    desk.token(provider.client_credentials())
    assert reason(desk.exchange(signed_before[1])) == "kid_unknown"
