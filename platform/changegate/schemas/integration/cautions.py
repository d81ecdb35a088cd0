"""Warnings about connection types and fields that are better avoided."""

from collections.abc import Mapping
from typing import Any

from changegate.models.integration_choices import CLIENT_CREDENTIALS, PASSWORD

STORED = (
    "Its client secret has to be stored where the automation runs, and anyone who reads it there can act as the "
    "automation. A JWT bearer integration stores nothing: the identity provider of the pipeline signs for it."
)
PASSWORDS = (
    "The password grant must not be used (RFC 9700 §2.4): it hands people's passwords to applications. Keep it to "
    "clients that cannot do otherwise, and replace them."
)
SWITCHED_OFF = (
    "The password grant is switched off on this server, so clients of this integration are refused. "
    "CHANGEGATE_PASSWORD_GRANT_ENABLED=true switches it on at the next start of the server."
)
REFRESHED = (
    "A stolen refresh token replaces the password until it expires (RFC 9700 §4.14). Issue refresh tokens only to "
    "clients that cannot ask for a password again."
)


def list_cautions(fields: Mapping[str, Any], *, is_password_grant_on: bool) -> list[str]:
    """Return warnings about the fields of an integration."""
    if fields["type"] == CLIENT_CREDENTIALS:
        return [STORED]
    if fields["type"] != PASSWORD:
        return []
    off = [] if is_password_grant_on else [SWITCHED_OFF]
    refreshed = [REFRESHED] if fields.get("issue_refresh_tokens") else []
    return [PASSWORDS, *off, *refreshed]
