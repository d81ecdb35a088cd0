"""Issuer metadata: read once, when an administrator asks for it, and never during a token exchange."""

from dataclasses import dataclass
from http import HTTPStatus

from changegate.errors import JwksFetchFailed
from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.models.integration_choices import MAX_ISSUER_LENGTH
from changegate.printable import printable
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.jwks_answer import AnswerRefused
from changegate.services.keys.jwks_fetch import fetch_jwks
from changegate.services.keys.signature import SCHEMES
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.keys.url_policy import UrlRefused, admit_url

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHOWN_LENGTH = 200


class DiscoveryFailed(JwksFetchFailed):
    """An issuer publishes no usable metadata; the message is for the administrator."""


class _NotPublished(DiscoveryFailed):
    """There is no document at a URL."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """Proposed values for the form, and the URL of the document that they were read from.

    `algorithms` are the issuer's ID token algorithms that the server supports, possibly none. They are a proposal only:
    an issuer may sign access tokens by another algorithm.
    """

    issuer: str
    jwks_uri: str
    algorithms: tuple[str, ...]
    document_url: str


def discover(issuer: str, policy: FetchPolicy, deadline: float | None = None) -> Discovered:
    """Fetch an issuer's metadata (OpenID Connect Discovery 1.0 §4, else RFC 8414 §3), guarded like a key set.

    The document must name the issuer byte for byte as it was typed, and a JWKS URL that the server may fetch. Takes at
    most two fetches, which end at the `deadline`, a time of `time.monotonic`, if one is given. Raises `JwksFetchFailed`
    with a sentence for the administrator.
    """
    url, document = read_metadata(issuer, policy, deadline)
    return Discovered(issuer, _get_jwks_uri(document, policy), _algorithms(document), url)


def read_metadata(issuer: str, policy: FetchPolicy, deadline: float | None = None) -> tuple[str, dict[str, object]]:
    """Fetch an issuer's metadata as `discover` does; return the URL and the members, none of which is checked."""
    url, document = _fetch(_locations(issuer, policy), policy, deadline)
    _require_issuer(document, issuer)
    return url, document


def discover_at(document_url: str, policy: FetchPolicy, deadline: float | None = None) -> Discovered:
    """Fetch the metadata at a URL, which must be one where the issuer that it names publishes.

    Otherwise, any site could publish a document that names its own keys for the issuer of another one. Takes one fetch.
    Raises `JwksFetchFailed` with a sentence for the administrator.
    """
    url = str(admit_url(document_url, policy))
    document = _read(url, policy, deadline)
    issuer = _get_issuer(document)
    if url not in _locations(issuer, policy):
        raise DiscoveryFailed(
            f"The document is about the issuer {_shown(issuer)}, which publishes elsewhere. Paste that issuer if you "
            "trust it."
        )
    return Discovered(issuer, _get_jwks_uri(document, policy), _algorithms(document), url)


def is_document_url(url: str) -> bool:
    """Return whether a URL has the well-known path of a discovery document."""
    return any(f"/.well-known/{name}" in url for name in ("openid-configuration", "oauth-authorization-server"))


def _locations(issuer: str, policy: FetchPolicy) -> tuple[str, str]:
    try:
        admitted = admit_url(issuer, policy)
    except UrlRefused as refusal:
        raise DiscoveryFailed(f"Nothing is published under this issuer. {refusal.message}") from None
    if "?" in issuer:
        raise DiscoveryFailed("An issuer has no query (RFC 8414 §2).")
    if len(issuer) > MAX_ISSUER_LENGTH:
        raise DiscoveryFailed(f"The issuer is longer than {MAX_ISSUER_LENGTH} characters.")
    # Both places are tried, because providers differ: OpenID Connect Discovery 1.0 §4 appends the well-known path to
    # the issuer, and RFC 8414 §3 inserts it before the issuer's path.
    base = f"{admitted.scheme}://{admitted.host_header}"
    path = admitted.target.removesuffix("/")
    return (
        f"{base}{path}/.well-known/openid-configuration",
        f"{base}/.well-known/oauth-authorization-server{path}",
    )


def _fetch(locations: tuple[str, ...], policy: FetchPolicy, deadline: float | None) -> tuple[str, dict[str, object]]:
    for url in locations:
        try:
            return url, _read(url, policy, deadline)
        except _NotPublished:
            continue
    raise DiscoveryFailed(f"No document was found at {' or '.join(locations)}. Enter the JWKS URL by hand.")


def _read(url: str, policy: FetchPolicy, deadline: float | None) -> dict[str, object]:
    try:
        return _parse(fetch_jwks(url, policy, deadline=deadline).body, url)
    except AnswerRefused as refusal:
        # The messages for redirects and for bodies other than JSON fit any document; the message for another
        # status speaks of a key set, and is replaced.
        if refusal.http_status == HTTPStatus.OK or refusal.http_status in _REDIRECTS:
            raise
        kind = _NotPublished if refusal.http_status == HTTPStatus.NOT_FOUND else DiscoveryFailed
        raise kind(f"{url} answered with status {refusal.http_status}.") from None


def _parse(body: bytes, url: str) -> dict[str, object]:
    try:
        document = parse_json_strictly(body, max_depth=MAX_JSON_DEPTH)
    except ValueError as problem:
        raise DiscoveryFailed(f"The document at {url} cannot be read: {problem}.") from None
    if not isinstance(document, dict):
        raise DiscoveryFailed(f"The document at {url} is not a JSON object.")
    return document


def _require_issuer(document: dict[str, object], issuer: str) -> None:
    # Compared exactly (RFC 8414 §3.3). Otherwise, another tenant of a shared host could publish a document that names
    # its own keys for this issuer.
    named = document.get("issuer")
    if named == issuer:
        return
    named = _get_issuer(document)
    hint = " The two differ only by a slash at the end." if named.rstrip("/") == issuer.rstrip("/") else ""
    raise DiscoveryFailed(f"The document is about another issuer, {_shown(named)}. Issuers are compared exactly.{hint}")


def _get_issuer(document: dict[str, object]) -> str:
    issuer = document.get("issuer")
    if not isinstance(issuer, str):
        raise DiscoveryFailed("The document names no issuer.")
    if "{" in issuer:
        raise DiscoveryFailed(
            f"The document is one for many tenants: its issuer is {_shown(issuer)}. Enter your own tenant's."
        )
    return issuer


def _shown(issuer: str) -> str:
    return printable(issuer, _SHOWN_LENGTH)


def _get_jwks_uri(document: dict[str, object], policy: FetchPolicy) -> str:
    jwks_uri = document.get("jwks_uri")
    if not isinstance(jwks_uri, str):
        raise DiscoveryFailed("The document names no jwks_uri.")
    try:
        admit_url(jwks_uri, policy)
    except UrlRefused as refusal:
        raise DiscoveryFailed(f"The jwks_uri of the document cannot be used. {refusal.message}") from None
    return jwks_uri


def _algorithms(document: dict[str, object]) -> tuple[str, ...]:
    named = document.get("id_token_signing_alg_values_supported")
    members = named if isinstance(named, list) else []
    return tuple(name for name in SCHEMES if name in members)
