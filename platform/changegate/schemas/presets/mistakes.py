"""Values that cannot work: typical mistakes in issuers, JWKS URLs, presets, and claim conditions.

New values like these are refused. Stored values from earlier releases keep working, and become findings.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from changegate.extensions import settings
from changegate.printable import printable
from changegate.schemas.presets.catalog import find_preset
from changegate.schemas.presets.pins import find_misshapen_pin, has_pin
from changegate.schemas.presets.placeholders import MAX_SHOWN
from changegate.schemas.presets.recognition import find_domain_tenant, find_shared, list_issuers_of, recognize

# With these key sources, the signer is the administrator's own, and its name is any text (RFC 7519 §4.1.1).
NAMED_FREELY = ("certificates", "shared_key")
_WELL_KNOWN = "/.well-known/"
_DOCUMENTS = ("openid-configuration", "oauth-authorization-server")
_KEY_SET_NAME = re.compile(r"(?:jwks?|certs|keys)(?:[._-][\w.-]*)?", re.IGNORECASE | re.ASCII)
_HOST = re.compile(r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::[0-9]{1,5})?(?:/[!-~]*)?", re.IGNORECASE | re.ASCII)


class Mistake(NamedTuple):
    """A value that cannot work: the field, what is wrong, and the remedy, each as sentences."""

    field: str
    sentence: str
    remedy: str


def find_mistakes(fields: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes in the fields of an integration with an identity provider; missing fields are skipped."""
    issuer, jwks_url = fields.get("issuer") or "", fields.get("jwks_url") or ""
    source = fields.get("key_source") or "jwks_url"
    return [
        *_mistaken_issuer(issuer, source, jwks_url if source == "jwks_url" else ""),
        *_mistaken_jwks_url(jwks_url if source == "jwks_url" else ""),
        *_mistaken_preset(issuer, fields.get("preset")),
        *_mistaken_conditions(issuer, fields.get("claim_conditions") or ()),
    ]


def refuse_new_mistakes(fields: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return the error messages by field; mistakes that are stored already are not repeated."""
    known = set(find_mistakes(stored)) if stored else set()
    errors: dict[str, list[str]] = {}
    for mistake in find_mistakes(fields):
        if mistake not in known:
            errors.setdefault(mistake.field, []).append(f"{mistake.sentence} {mistake.remedy}")
    return errors


def _mistaken_issuer(issuer: str, source: str, jwks_url: str) -> Iterator[Mistake]:
    url = _split(issuer)
    if url is None:
        if _HOST.fullmatch(issuer) and source not in NAMED_FREELY:
            yield Mistake("issuer", "The issuer has no https://.", f"Enter https://{issuer} if tokens have this iss.")
    elif any(f"{_WELL_KNOWN}{name}" in url.path for name in _DOCUMENTS):
        yield Mistake(
            "issuer",
            "This is the URL of a discovery document.",
            f"Enter the issuer that the document names; its URL suggests {_issuer_of_document(url)}.",
        )
    elif issuer == jwks_url or _WELL_KNOWN in url.path or _KEY_SET_NAME.fullmatch(url.path.rpartition("/")[2]):
        yield Mistake("issuer", "This is a JWKS URL.", _remedy_of_key_set(issuer, url))
    elif url.scheme == "http" and source not in NAMED_FREELY and not _is_loopback_allowed(url):
        rest = issuer.partition("://")[2]
        yield Mistake("issuer", "The issuer begins with http://.", f"Enter https://{rest} if tokens have this iss.")
    elif (domain := find_domain_tenant(issuer)) is not None:
        yield Mistake(
            "issuer",
            f"{printable(domain, MAX_SHOWN)} is a domain, and tokens have the ID of the directory in their issuer.",
            "Enter the Directory (tenant) ID, a GUID, in its place; the overview page of Microsoft Entra ID shows it.",
        )


def _remedy_of_key_set(issuer: str, url: SplitResult) -> str:
    known = list_issuers_of(issuer)
    if _WELL_KNOWN in url.path:
        likely = f"{url.scheme}://{url.netloc}{url.path.partition(_WELL_KNOWN)[0]}"
    elif known:
        likely = known[0]
    else:
        return "Enter it as JWKS URL, and here the iss of the provider's tokens."
    return f"Enter it as JWKS URL, and here the iss of the provider's tokens, which is probably {likely}."


def _issuer_of_document(url: SplitResult) -> str:
    before, _, after = url.path.partition(_WELL_KNOWN)
    # RFC 8414 §3.1 inserts the well-known path before the path of the issuer.
    return f"{url.scheme}://{url.netloc}{before}{after[after.find('/') :] if '/' in after else ''}"


def _mistaken_jwks_url(jwks_url: str) -> Iterator[Mistake]:
    url = _split(jwks_url)
    if url is not None and any(f"{_WELL_KNOWN}{name}" in url.path for name in _DOCUMENTS):
        yield Mistake(
            "jwks_url", "This is the URL of a discovery document.", "Enter the URL that the document names as jwks_uri."
        )


def _mistaken_preset(issuer: str, preset: str | None) -> Iterator[Mistake]:
    chosen, recognized = find_preset(preset), recognize(issuer)
    if chosen is not None and recognized is not None and recognized.preset is not chosen:
        yield Mistake(
            "preset",
            f"The issuer belongs to {recognized.preset.label}, not to {chosen.label}.",
            f"Choose {recognized.preset.label}, or enter the issuer of {chosen.label}.",
        )


def _mistaken_conditions(issuer: str, conditions: Any) -> Iterator[Mistake]:
    provider = find_shared(issuer)
    # Without any other pin, `find_pin_faults` refuses the condition.
    if provider is not None and has_pin(conditions, provider):
        misshapen = find_misshapen_pin(conditions, provider)
        if misshapen is not None:
            yield Mistake("claim_conditions", *misshapen)


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None for other text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and "://" in url else None


def _is_loopback_allowed(url: SplitResult) -> bool:
    host = url.hostname or ""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return is_loopback and settings().jwks_allow_loopback
