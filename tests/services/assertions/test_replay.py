"""Claims: what makes an assertion the same one."""

from changegate.services.assertions.replay import assertion_claim

ISSUER = "https://ci.example.com"


def test_the_same_assertion_has_the_same_claim() -> None:
    assert assertion_claim("a" * 32, ISSUER, b"digest") == assertion_claim("a" * 32, ISSUER, b"digest")


def test_claims_of_other_integrations_issuers_and_assertions_are_others() -> None:
    claims = {
        assertion_claim("a" * 32, ISSUER, b"digest"),
        assertion_claim("b" * 32, ISSUER, b"digest"),
        assertion_claim("a" * 32, f"{ISSUER}/", b"digest"),
        assertion_claim("a" * 32, ISSUER, b"digest2"),
    }

    assert len(claims) == 4
