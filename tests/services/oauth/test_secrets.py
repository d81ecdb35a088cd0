"""Client secrets."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from changegate.failure_limit import Guess
from changegate.services.oauth.secrets import hash_client_secret, is_right_secret, new_client_secret

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
GUESS = Guess("192.0.2.1", "client")


def test_a_secret_needs_no_encoding_anywhere() -> None:
    secrets = {new_client_secret() for _ in range(200)}

    assert len(secrets) == 200
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_-]{42}", secret) for secret in secrets)


def test_the_stored_hash_does_not_disclose_the_secret() -> None:
    assert re.fullmatch("[0-9a-f]{64}", hash_client_secret("secret"))
    assert hash_client_secret("secret") != hash_client_secret("secret ")


def test_the_present_secret_is_right() -> None:
    assert is_right_secret(GUESS, "new", hash_client_secret("new"), None, None, NOW)


@pytest.mark.parametrize("secret", ["", "New", "new ", "\0", "\ud800", "né", "x" * 5000])
def test_no_other_secret_is_right(secret: str) -> None:
    assert not is_right_secret(GUESS, secret, hash_client_secret("new"), None, None, NOW)


@pytest.mark.parametrize(
    ("ends_at", "is_right"), [(LATER, True), (NOW, False), (NOW - timedelta(1), False), (None, False)]
)
def test_the_previous_secret_is_right_within_its_overlap(ends_at: datetime | None, is_right: bool) -> None:
    kept = (hash_client_secret("new"), hash_client_secret("old"), ends_at)

    assert is_right_secret(GUESS, "old", *kept, NOW) is is_right


@pytest.mark.parametrize("secret", ["", "anything"])
def test_no_secret_is_right_if_none_is_stored(secret: str) -> None:
    assert not is_right_secret(GUESS, secret, None, None, None, NOW)
    assert not is_right_secret(GUESS, secret, "", "", LATER, NOW)
