"""Parameters of the OAuth endpoints (RFC 6749 §3.2, §4.3, §4.4, §6, RFC 7523 §2, RFC 7009 §2.1, RFC 7662 §2.1).

Plain code instead of marshmallow: it parses a few optional strings at every exchange, in a tenth of the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from changegate.oauth_errors import InvalidRequest

ASCII_SPACE = " \t\r\n\f\v"
LONGEST = {
    **{"client_id": 255, "client_secret": 4096, "scope": 4096},
    **{"username": 255, "password": 4096, "refresh_token": 255},
}
# Parameters that are trimmed, because they are often pasted with line breaks. Secrets are never trimmed.
# See docs/reference/token-endpoint.md#requests.
TRIMMED = frozenset({"grant_type", "client_id", "assertion", "client_assertion"})


@dataclass(frozen=True, slots=True, repr=False)
class ClientForm:
    """The client parameters of a form; an empty parameter counts as absent."""

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
    """A revocation or introspection request.

    `token_type_hint` is ignored, since the format of a token shows its type.
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
    """Return the parameters of a revocation or introspection request, as `load_token_request` does."""
    return TokenReferenceForm(**_load(sent, NAMES_OF_REFERENCE))


def _load(sent: Iterable[tuple[str, str]], names: frozenset[str]) -> dict[str, str | None]:
    parameters: dict[str, str | None] = {}
    for name, value in sent:
        if name not in names:
            continue
        if name in parameters:
            raise InvalidRequest("param_duplicate", f"{name} is given more than once")
        if len(value) > LONGEST.get(name, len(value)):
            raise InvalidRequest("body_malformed", f"{name} is too long")
        parameters[name] = (value.strip(ASCII_SPACE) if name in TRIMMED else value) or None
    return parameters
