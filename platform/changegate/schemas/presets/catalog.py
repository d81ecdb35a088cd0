"""The presets by name, and the values that they fill in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from changegate.errors import InputInvalid
from changegate.models.integration_choices import REUSABLE
from changegate.models.integration_fields import FIELDS
from changegate.schemas.presets.build_services import BUILDKITE, CIRCLECI, HCP_TERRAFORM, JENKINS
from changegate.schemas.presets.clouds import AWS_STS, COGNITO, GOOGLE
from changegate.schemas.presets.directories import AUTH0, ENTRA_ID, KEYCLOAK, OKTA
from changegate.schemas.presets.forges import BITBUCKET, GITHUB_ACTIONS, GITLAB
from changegate.schemas.presets.ping import PINGFEDERATE, PINGONE
from changegate.schemas.presets.placeholders import PLACEHOLDERS
from changegate.schemas.presets.shape import IssuerForm, Preset
from changegate.schemas.presets.workloads import KUBERNETES, SPIFFE

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            GITHUB_ACTIONS,
            GITLAB,
            KUBERNETES,
            ENTRA_ID,
            OKTA,
            AUTH0,
            KEYCLOAK,
            GOOGLE,
            SPIFFE,
            PINGFEDERATE,
            PINGONE,
            COGNITO,
            AWS_STS,
            CIRCLECI,
            BUILDKITE,
            HCP_TERRAFORM,
            JENKINS,
            BITBUCKET,
        )
    }
)


@dataclass(frozen=True, slots=True)
class Filled:
    """The issuer and JWKS URL of a provider, with placeholders filled in."""

    issuer: str
    jwks_url: str


def find_preset(name: str | None) -> Preset | None:
    """Return a preset by name."""
    return PRESETS.get(name or "")


def get_preset(name: str) -> Preset:
    """Return a preset by name; raises `InputInvalid` if it does not exist."""
    if name not in PRESETS:
        raise InputInvalid({"preset": [f"There is no preset {name}; presets are {', '.join(PRESETS)}."]})
    return PRESETS[name]


def defaults_of(preset: Preset) -> dict[str, Any]:
    """Return the integration fields that a preset sets, without issuer and JWKS URL."""
    # Attributes with the name of a field are values of that field, except for the name of the preset.
    same = {name: getattr(preset, name) for name in FIELDS if name != "name" and hasattr(preset, name)}
    return {
        "preset": preset.name,
        "provider_name": preset.label,
        **same,
        "algorithms": list(preset.algorithms),
        "enable_jti_verification": preset.replay_policy != REUSABLE,
    }


def claim_kinds(preset: Preset) -> dict[str, str]:
    """Return the stability (`CLAIM_KINDS`) of each claim of the provider."""
    return {claim.name: claim.kind for claim in preset.claims}


def issuer_form(preset: Preset, name: str | None = None) -> IssuerForm:
    """Return one of a preset's places by name, the first by default; raises `InputInvalid`."""
    forms = [form for form in preset.issuers if name in (None, form.name)]
    if not forms:
        names = ", ".join(form.name for form in preset.issuers)
        raise InputInvalid({"issuer": [f"{preset.label} has no place {name}; it has {names}."]})
    return forms[0]


def fill(preset: Preset, placeholders: Mapping[str, str], *, form: str | None = None) -> Filled:
    """Return issuer and JWKS URL; raises `InputInvalid` for a missing or invalid placeholder.

    `form` names one of the preset's places, the first by default.
    """
    place = issuer_form(preset, form)
    wrong = [name for name in place.placeholders if not PLACEHOLDERS[name].admits(placeholders.get(name, ""))]
    if wrong:
        raise InputInvalid({name: [PLACEHOLDERS[name].explain(placeholders.get(name, ""))] for name in wrong})
    return _filled(place, {name: placeholders[name] for name in place.placeholders})


def match_form(form: IssuerForm, issuer: str) -> Filled | None:
    """Return the URLs of a place if an issuer fits its template, else None."""
    values = _match(form.issuer, issuer)
    return None if values is None else _filled(form, values)


def match_keys(form: IssuerForm, jwks_url: str) -> Filled | None:
    """Return the URLs of a place if a JWKS URL fits its template and determines the issuer, else None."""
    values = _match(form.jwks_url, jwks_url)
    return None if values is None or values.keys() != {*form.placeholders} else _filled(form, values)


def _match(template: str, url: str) -> dict[str, str] | None:
    matched = _pattern(template).fullmatch(url)
    return None if matched is None else matched.groupdict()


@cache
def _pattern(template: str) -> re.Pattern[str]:
    groups = {f"{{{name}}}": f"(?P<{name}>{each.shape})" for name, each in PLACEHOLDERS.items()}
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(groups.get(part, re.escape(part)) for part in parts), re.ASCII)


def _filled(form: IssuerForm, values: Mapping[str, str]) -> Filled:
    issuer = form.issuer.format_map(values)
    return Filled(issuer, form.jwks_url.format_map({**values, "issuer": issuer.removesuffix("/")}))
