"""Claims: what makes an assertion the same one."""

from changegate.services.assertions.replay import replay_key_of

ISSUER = "https://ci.example.com"


def test_the_same_assertion_has_the_same_claim() -> None:
    assert replay_key_of("a" * 32, ISSUER, b"digest") == replay_key_of("a" * 32, ISSUER, b"digest")


def test_claims_of_other_integrations_issuers_and_assertions_are_others() -> None:
    claims = {
        replay_key_of("a" * 32, ISSUER, b"digest"),
        replay_key_of("b" * 32, ISSUER, b"digest"),
        replay_key_of("a" * 32, f"{ISSUER}/", b"digest"),
        replay_key_of("a" * 32, ISSUER, b"digest2"),
    }

    assert len(claims) == 4
