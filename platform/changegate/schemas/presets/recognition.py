"""Recognition of the provider of an issuer, and issuers that can never be trusted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from changegate.models.integration_choices import MAX_ISSUER_LENGTH, MAX_URL_LENGTH
from changegate.schemas.presets.catalog import PRESETS, Filled, claim_kinds, find_preset, match_form, match_keys
from changegate.schemas.presets.placeholders import OKTA_DOMAIN, UUID
from changegate.schemas.presets.shape import IssuerForm, Preset

# The limit of the form field. Longer text is not matched against patterns.
_NO_TENANT = frozenset({"common", "organizations", "consumers"})
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
_MICROSOFT = re.compile(r"sts\.windows\.net|login\.windows\.net|login\.(?:partner\.)?microsoftonline\.[a-z]+")
_OKTA_SERVER = re.compile(r"/oauth2/[^/]+")


@dataclass(frozen=True, slots=True)
class Recognized:
    """A provider recognized by its issuer, with its place and its URLs."""

    preset: Preset
    form: IssuerForm
    filled: Filled


def recognize(issuer: str) -> Recognized | None:
    """Return the provider whose pattern an issuer fits; None if the pattern would fit other providers, too."""
    if len(issuer) > MAX_ISSUER_LENGTH:
        return None
    for preset in PRESETS.values():
        for form in preset.issuers:
            filled = match_form(form, issuer) if form.is_telling else None
            if filled is not None:
                return Recognized(preset, form, filled)
    return None


def find_jwks_url(issuer: str) -> str | None:
    """Return the JWKS URL of a provider that is recognized by its issuer, or None."""
    recognized = recognize(issuer)
    return recognized.filled.jwks_url if recognized else None


def find_keys_advice(issuer: str) -> str:
    """Return what to do if the keys of an issuer cannot be fetched, or an empty string.

    There is no such advice for issuers whose JWKS URL is known to be public.
    """
    provider = find_by_issuer(issuer)
    return provider.keys_advice if provider and not recognize(issuer) else ""


def find_by_issuer(issuer: str) -> Preset | None:
    """Return the provider of an issuer; every URL at the host of a shared issuer belongs to that provider."""
    recognized = recognize(issuer)
    return find_shared(issuer) or (recognized.preset if recognized else _find_by_shape(issuer))


def _find_by_shape(issuer: str) -> Preset | None:
    if len(issuer) > MAX_ISSUER_LENGTH:
        return None
    shaped = ((preset, preset.issuer_shape) for preset in PRESETS.values() if preset.issuer_shape)
    return next((preset for preset, shape in shaped if re.fullmatch(shape, issuer, re.ASCII)), None)


def find_claim_kinds(issuer: str, preset: str | None) -> dict[str, str]:
    """Return `claim_kinds` of the chosen provider or, without one, of the provider of the issuer."""
    provider = find_preset(preset) or find_by_issuer(issuer)
    return claim_kinds(provider) if provider else {}


def find_shared(issuer: str) -> Preset | None:
    """Return the provider at the host of an issuer if it signs for many tenants, else None.

    It is found by host, not by pattern, because the provider can assign new paths, as GitHub does for enterprises.
    """
    return _SHARED_HOSTS.get(_host_and_path(issuer)[0])


def find_refusal(issuer: str, preset: Preset | None) -> str | None:
    """Return why an issuer can never be trusted, as a sentence, or None."""
    rules = (_unfilled, _without_tenant, _without_scheme, _legacy_cluster, lambda text: _okta_itself(text, preset))
    return next((sentence for rule in rules if (sentence := rule(issuer))), None)


def _host_and_path(issuer: str) -> tuple[str, str]:
    """Return host and path of a URL; both are empty if it is invalid."""
    try:
        parts = urlsplit(issuer)
    except ValueError:
        return "", ""
    return (parts.hostname or "").rstrip("."), parts.path


_SHARED_HOSTS = {
    _host_and_path(form.issuer)[0]: preset for preset in PRESETS.values() for form in preset.issuers if form.is_shared
}


def _unfilled(issuer: str) -> str | None:
    if not re.search(r"[{}<>]", issuer):
        return None
    return "The issuer still holds a placeholder; put your own value in its place."


def _without_tenant(issuer: str) -> str | None:
    host, path = _host_and_path(issuer)
    tenant = path.strip("/").partition("/")[0].lower()
    if not _MICROSOFT.fullmatch(host):
        return None
    if tenant in _NO_TENANT:
        return f"Tokens never have /{tenant} in their issuer; put the directory (tenant) ID in its place."
    if tenant == _PERSONAL_ACCOUNTS:
        return "This is the directory of everybody's personal accounts; enter your own directory (tenant) ID."
    return None


def find_domain_tenant(issuer: str) -> str | None:
    """Return the domain that an issuer of Microsoft has in place of the directory ID, or None."""
    host, path = _host_and_path(issuer)
    tenant = path.strip("/").partition("/")[0]
    is_domain = tenant.lower() not in _NO_TENANT and not re.fullmatch(UUID, tenant, re.ASCII)
    return tenant if _MICROSOFT.fullmatch(host) and tenant and is_domain else None


def _without_scheme(issuer: str) -> str | None:
    if issuer.rstrip("/").lower() != "accounts.google.com":
        return None
    return "Only old Google tokens have this issuer; enter https://accounts.google.com."


def _legacy_cluster(issuer: str) -> str | None:
    if issuer != "kubernetes/serviceaccount":
        return None
    return "Tokens of this issuer come from secrets and never expire; use projected service account tokens."


def _okta_itself(issuer: str, preset: Preset | None) -> str | None:
    host, path = _host_and_path(issuer)
    is_okta = re.fullmatch(OKTA_DOMAIN, host) or (preset is not None and preset.name == "okta")
    if not is_okta or _OKTA_SERVER.fullmatch(path):
        return None
    return (
        "Okta's org authorization server makes tokens for Okta only; enter the issuer of a custom authorization "
        "server, which holds /oauth2/ and its id."
    )


def list_issuers_of(jwks_url: str) -> tuple[str, ...]:
    """Return the issuers of providers that publish their keys at this URL, by the patterns of the presets.

    They are candidates: only the issuer's own discovery document shows whether it uses the URL.
    """
    forms = (form for preset in PRESETS.values() for form in preset.issuers)
    issuers = (issuer for form in forms for issuer in _issuers_of(form, jwks_url))
    return tuple(dict.fromkeys(issuers)) if len(jwks_url) <= MAX_URL_LENGTH else ()


def _issuers_of(form: IssuerForm, jwks_url: str) -> Iterator[str]:
    if not form.jwks_url.startswith("{issuer}"):
        filled = match_keys(form, jwks_url)
        if filled is not None:
            yield filled.issuer
        return
    base = jwks_url.removesuffix(form.jwks_url.removeprefix("{issuer}"))
    if base != jwks_url:
        # The templates of JWKS URLs contain the issuer without its final slash.
        yield from (issuer for issuer in (base, f"{base}/") if match_form(form, issuer) is not None)
