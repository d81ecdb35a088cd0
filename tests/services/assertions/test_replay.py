"""Replay keys: equal for the same assertion only."""

from changegate.services.assertions.replay import replay_key_of

ISSUER = "https://ci.example.com"


def test_the_same_assertion_has_the_same_replay_key() -> None:
    assert replay_key_of("a" * 32, ISSUER, b"digest") == replay_key_of("a" * 32, ISSUER, b"digest")


def test_replay_keys_differ_by_integration_issuer_and_assertion() -> None:
    claims = {
        replay_key_of("a" * 32, ISSUER, b"digest"),
        replay_key_of("b" * 32, ISSUER, b"digest"),
        replay_key_of("a" * 32, f"{ISSUER}/", b"digest"),
        replay_key_of("a" * 32, ISSUER, b"digest2"),
    }

    assert len(claims) == 4
