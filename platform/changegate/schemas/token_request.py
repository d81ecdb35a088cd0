"""The parameters of requests about tokens (RFC 6749 §3.2, §4.3, §4.4, §6, RFC 7523 §2, RFC 7009 §2.1, RFC 7662 §2.1).

A few optional texts, read at every exchange: plain code here takes a tenth of what a schema's machinery would.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from changegate.errors import InvalidRequest

ASCII_SPACE = " \t\r\n\f\v"
LONGEST = {
    **{"client_id": 255, "client_secret": 4096, "scope": 4096},
    **{"username": 255, "password": 4096, "refresh_token": 255},
}
# Trimmed, because they are pasted with line breaks from documentation; secrets never are.
# See docs/reference/token-endpoint.md#requests.
TRIMMED = frozenset({"grant_type", "client_id", "assertion", "client_assertion"})


@dataclass(frozen=True, slots=True, repr=False)
class ClientForm:
    """What a form says of the client that sends it; an empty parameter is the same as none."""

    client_id: str | None = None
    client_secret: str | None = None
    client_assertion: str | None = None
    client_assertion_type: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequestForm(ClientForm):
    """A token request."""

    grant_type: str | None = None
    assertion: str | None = None
    scope: str | None = None
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class TokenReferenceForm(ClientForm):
    """A request about a token that exists: to revoke it or to introspect it.

    How a token is written says what it is, so that its type need not be guessed at and a hint is ignored.
    """

    token: str | None = None


NAMES = frozenset(field.name for field in fields(TokenRequestForm))
NAMES_OF_REFERENCE = frozenset(field.name for field in fields(TokenReferenceForm))


def load_token_request(sent: Iterable[tuple[str, str]]) -> TokenRequestForm:
    """Return the known parameters; unknown ones are ignored.

    Raises `InvalidRequest` for a parameter that is too long or given more than once (RFC 6749 §3.2).
    """
    return TokenRequestForm(**_load(sent, NAMES))


def load_token_reference(sent: Iterable[tuple[str, str]]) -> TokenReferenceForm:
    """Return the parameters that name a token and its client, as `load_token_request` does."""
    return TokenReferenceForm(**_load(sent, NAMES_OF_REFERENCE))


def _load(sent: Iterable[tuple[str, str]], names: frozenset[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, value in sent:
        if name not in names:
            continue
        if name in found:
            raise InvalidRequest("param_duplicate", f"{name} is given more than once")
        if len(value) > LONGEST.get(name, len(value)):
            raise InvalidRequest("body_malformed", f"{name} is too long")
        found[name] = (value.strip(ASCII_SPACE) if name in TRIMMED else value) or None
    return found
