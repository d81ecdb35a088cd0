"""What is said of connection types that are better not used."""

from changegate.schemas.integration.cautions import (
    PASSWORDS,
    REFRESHED,
    STORED,
    SWITCHED_OFF,
    list_cautions,
)


def test_says_nothing_of_what_an_identity_provider_signs() -> None:
    for name in ("jwt_bearer", "id_token"):
        assert list_cautions({"type": name}, is_password_grant_on=False) == []


def test_names_the_alternative_to_a_stored_secret() -> None:
    assert list_cautions({"type": "client_credentials"}, is_password_grant_on=True) == [STORED]
    assert "JWT bearer" in STORED


def test_warns_of_the_password_grant_and_names_its_setting() -> None:
    fields = {"type": "password", "issue_refresh_tokens": False}
    assert list_cautions(fields, is_password_grant_on=False) == [PASSWORDS, SWITCHED_OFF]
    assert list_cautions(fields, is_password_grant_on=True) == [PASSWORDS]
    assert "RFC 9700 §2.4" in PASSWORDS and "CHANGEGATE_PASSWORD_GRANT_ENABLED" in SWITCHED_OFF


def test_warns_of_refresh_tokens_once_they_are_on() -> None:
    fields = {"type": "password", "issue_refresh_tokens": True}
    assert list_cautions(fields, is_password_grant_on=True) == [PASSWORDS, REFRESHED]
