"""Whose issuer it is that somebody typed by hand, and which issuers cannot be trusted at all."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from changegate.schemas.presets.catalog import PRESETS, Filled, claim_kinds, find_preset, match_form
from changegate.schemas.presets.placeholders import OKTA_DOMAIN
from changegate.schemas.presets.shape import IssuerForm, Preset

# Of the form's field; a longer text is nobody's, and is not matched against patterns.
MAX_ISSUER_LENGTH = 255
_NO_TENANT = frozenset({"common", "organizations", "consumers"})
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
_MICROSOFT = re.compile(r"sts\.windows\.net|login\.windows\.net|login\.(?:partner\.)?microsoftonline\.[a-z]+")
_OKTA_SERVER = re.compile(r"/oauth2/[^/]+")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A provider known by its issuer, the place it is, and the URLs as they are there."""

    preset: Preset
    form: IssuerForm
    filled: Filled


def recognise(issuer: str) -> Recognised | None:
    """Return the provider whose pattern an issuer fits exactly; None where others could have the same pattern."""
    if len(issuer) > MAX_ISSUER_LENGTH:
        return None
    for preset in PRESETS.values():
        for form in preset.issuers:
            filled = match_form(form, issuer) if form.is_telling else None
            if filled is not None:
                return Recognised(preset, form, filled)
    return None


def find_by_issuer(issuer: str) -> Preset | None:
    """Return the provider of an issuer; anything at the host of a shared one is that provider's."""
    recognised = recognise(issuer)
    return find_shared(issuer) or (recognised.preset if recognised else None)


def find_claim_kinds(issuer: str, preset: str | None) -> dict[str, str]:
    """Return what `claim_kinds` knows of the provider that was chosen or, without one, is recognised by its issuer."""
    provider = find_preset(preset) or find_by_issuer(issuer)
    return claim_kinds(provider) if provider else {}


def find_shared(issuer: str) -> Preset | None:
    """Return the provider that signs for strangers at the host of an issuer.

    By host and not by pattern: paths there are its to give out, as GitHub does for enterprises.
    """
    return _SHARED_HOSTS.get(_host_and_path(issuer)[0])


def find_refusal(issuer: str, preset: Preset | None) -> str | None:
    """Return why no integration can trust an issuer, in one sentence, or None."""
    rules = (_unfilled, _without_tenant, _without_scheme, _legacy_cluster, lambda text: _okta_itself(text, preset))
    return next((sentence for rule in rules if (sentence := rule(issuer))), None)


def _host_and_path(issuer: str) -> tuple[str, str]:
    """Return both of a URL, empty texts of what is none."""
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
