"""oidc-provider-mock: ID tokens without kid and jti, whose aud is a list; each of these is accepted by choice only."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from urllib.parse import urlsplit

import pytest

from tests.identity_providers.conftest import ReasonFor
from tests.identity_providers.onboarding import Console
from tests.identity_providers.processes import PIPELINE, Provider, running_oidc_provider_mock
from tests.support.live_desk import LiveDesk

# Its ID tokens are for the client, whose id therefore is an audience that the form accepts.
CLIENT_ID = "change-desk"
WITHOUT_KID = {"allow_missing_kid": "on"}
WITHOUT_JTI = {"replay_policy": "once-if-present"}


class RestartedProvider:
    """The provider, which has new keys after each start."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.now: Provider = stack.enter_context(running_oidc_provider_mock())

    def restart(self) -> None:
        """End the process and start another at the same address."""
        port = urlsplit(self.now.issuer).port
        self._stack.close()
        self.now = self._stack.enter_context(running_oidc_provider_mock(port))

    def sign_in(self) -> str:
        return self.now.sign_in(PIPELINE, CLIENT_ID)


@pytest.fixture(scope="module")
def provider() -> Iterator[RestartedProvider]:
    with ExitStack() as stack:
        yield RestartedProvider(stack)


def onboarded(
    administrator: Console, provider: RestartedProvider, choices: Mapping[str, str]
) -> AbstractContextManager[LiveDesk]:
    """Trust the provider by the form, with choices beyond what it asks for."""
    return administrator.onboarded(provider.now.issuer, audiences=CLIENT_ID, **choices)


@pytest.fixture
def desk(administrator: Console, provider: RestartedProvider) -> Iterator[LiveDesk]:
    """An integration that was made with both choices."""
    with onboarded(administrator, provider, WITHOUT_KID | WITHOUT_JTI) as made:
        yield made


@pytest.mark.parametrize(
    ("choices", "refused_for"),
    [({}, "kid_missing"), (WITHOUT_JTI, "kid_missing"), (WITHOUT_KID, "jti_missing")],
    ids=["neither", "without jti alone", "without kid alone"],
)
def test_its_token_is_refused_without_both_choices(
    administrator: Console, provider: RestartedProvider, choices: Mapping[str, str], refused_for: str, reason: ReasonFor
) -> None:
    with onboarded(administrator, provider, choices) as desk:
        assert reason(desk.exchange(provider.sign_in())) == refused_for


def test_a_trial_in_the_form_shows_the_remaining_choices(administrator: Console, provider: RestartedProvider) -> None:
    token = provider.sign_in()
    for choices, verdict in ((WITHOUT_JTI, "kid_missing"), (WITHOUT_KID, "jti_missing")):
        page = administrator.try_token(provider.now.issuer, token, audiences=CLIENT_ID, **choices)
        assert f"with the reason <code>{verdict}</code>" in page


def test_its_token_is_exchanged_for_one_that_creates_a_change(desk: LiveDesk, provider: RestartedProvider) -> None:
    assert desk.call(desk.token(provider.sign_in())).status_code == 201


def test_its_token_without_jti_cannot_be_exchanged_twice(
    desk: LiveDesk, provider: RestartedProvider, reason: ReasonFor
) -> None:
    assertion = provider.sign_in()
    desk.token(assertion)
    assert reason(desk.exchange(assertion)) == "jti_replayed"


def test_a_new_key_is_found_though_no_token_names_it(
    desk: LiveDesk, provider: RestartedProvider, reason: ReasonFor
) -> None:
    desk.token(provider.sign_in())
    signed_before = provider.sign_in()

    provider.restart()

    desk.token(provider.sign_in())
    assert reason(desk.exchange(signed_before)) == "signature_invalid"
