"""The parameters of a token request (RFC 6749 §3.2, RFC 7523 §2.1).

Seven optional texts, read at every exchange: plain code here takes a tenth of what a schema's machinery would.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from marshmallow import ValidationError

ASCII_SPACE = " \t\r\n\f\v"
LONGEST = {"client_id": 255, "client_secret": 4096, "scope": 4096}
# Trimmed, for they are pasted with line breaks from documentation; the secret never is (oauth_jwt.md §2.4).
TRIMMED = frozenset({"grant_type", "client_id", "assertion"})


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequestForm:
    """A token request; an empty parameter is the same as none."""

    grant_type: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    assertion: str | None = None
    scope: str | None = None
    client_assertion: str | None = None
    client_assertion_type: str | None = None


NAMES = frozenset(TokenRequestForm.__slots__)


def load_token_request(sent: Iterable[tuple[str, str]]) -> TokenRequestForm:
    """Return the known parameters; unknown ones are ignored.

    Raises `ValidationError` by parameter, for one that is too long or given more than once (RFC 6749 §3.2).
    """
    found: dict[str, str | None] = {}
    for name, value in sent:
        if name not in NAMES:
            continue
        if name in found:
            raise ValidationError({name: ["given more than once"]})
        if len(value) > LONGEST.get(name, len(value)):
            raise ValidationError({name: ["too long"]})
        found[name] = (value.strip(ASCII_SPACE) if name in TRIMMED else value) or None
    return TokenRequestForm(**found)
