"""Command line, file, and admin API refuse the same input with the messages of the shared schema."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from changegate.errors import InputInvalid
from changegate.schemas.integration_input import load_integration
from tests.cli.conftest import Run
from tests.support.certificates import certificate, pem
from tests.support.integration_api import LEAST, IntegrationApi

GITHUB = "https://token.actions.githubusercontent.com"
PIN = "repository_id equals 1"
SHARED = {"key_source": "shared_key", "jwks_url": ...}
CERTIFIED = {"key_source": "certificates", "jwks_url": ...}
LEAKED_JWKS = '{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]}'
# What makes an integration that is good otherwise one that must not be.
BAD: Mapping[str, dict[str, Any]] = {
    "no subject rule": {"run_as": ...},
    "both subject rules": {"user_field": "email"},
    "an unknown column": {"run_as": ..., "user_field": "user_password"},
    "no provider": {"provider_name": ...},
    "neither issuer nor URL": {"issuer": ..., "jwks_url": ...},
    "an issuer that holds a placeholder": {"issuer": "https://login.example.com/{tenantid}"},
    "the tenant of all organizations": {"issuer": "https://login.microsoftonline.com/common/v2.0"},
    "a shared issuer without a pin": {"issuer": GITHUB},
    "a shared issuer with a name for a pin": {"issuer": GITHUB, "claim_conditions": ["repository equals acme/shop"]},
    "a shared issuer that only reports": {
        "issuer": GITHUB,
        "claim_conditions": ["report-only: repository_id equals 1"],
    },
    "a shared issuer under another preset": {"issuer": GITHUB, "preset": "jenkins"},
    "an unknown preset": {"preset": "nobody"},
    "an invalid condition": {"claim_conditions": ["repository_id"]},
    "an unknown operator": {"claim_conditions": ["ref matches .*"]},
    "a pattern over segments": {"claim_conditions": ["ref glob refs/**"]},
    "a pattern for a number": {"claim_conditions": ["run glob:number 1"]},
    "no number": {"claim_conditions": ["run equals:number one"]},
    "a URL of this machine's files": {"jwks_url": "file:///etc/passwd"},
    "a URL within the network": {"jwks_url": "http://169.254.169.254/"},
    "a key set beside a URL": {"jwks": '{"keys": []}'},
    "an unknown key source": {"key_source": "magic"},
    "a key set that leaked": {"key_source": "jwks", "jwks_url": ..., "jwks": LEAKED_JWKS},
    "a key set without keys": {"key_source": "jwks", "jwks_url": ..., "jwks": '{"keys": []}'},
    "no certificate": dict(CERTIFIED),
    "an invalid certificate": {**CERTIFIED, "verifier_maps": [{"name": "main", "certificate": "nonsense"}]},
    "a certificate beside a URL": {"verifier_maps": [{"name": "main", "certificate": pem(certificate())}]},
    "a short shared key": {**SHARED, "verifier_maps": [{"name": "main", "shared_key": "0123456789abcdef"}]},
    "a public key for a secret": {**SHARED, "verifier_maps": [{"name": "main", "shared_key": pem(certificate())}]},
    "an algorithm for shared keys": {"algorithms": ["HS256"]},
    "an algorithm that proves nothing": {"algorithms": ["none"]},
    "a token for another purpose": {"required_typ": "dpop+jwt"},
    "an unknown replay policy": {"replay_policy": "always"},
    "a replay policy and its opposite": {"replay_policy": "reusable-until-exp", "enable_jti_verification": True},
    "a unique claim that is not unique": {"jti_claim": "sub"},
    "an unknown token format": {"token_format": "SAML"},
    "an unknown scope": {"scopes": ["everything"]},
    "too long a lifetime": {"max_assertion_lifetime_seconds": 86401},
    "an invalid duration": {"clock_skew_seconds": "ten"},
    "an unknown user": {"run_as": "nobody"},
    "an unknown owner": {"owner": "nobody"},
    "an invalid date": {"review_date": "31.01.2030"},
    "a name that is too long": {"name": "x" * 101},
    "a name that turns the line around": {"name": "a\u202eb"},
}
OPTIONS = {
    **{"audiences": "--audience", "scopes": "--scope", "algorithms": "--algorithm"},
    **{"claim_conditions": "--claim-condition", "public_client": "--public"},
    **{"enable_jti_verification": "--jti-verification", "clock_skew_seconds": "--clock-skew"},
    "max_assertion_lifetime_seconds": "--max-assertion-lifetime",
}


def fields_of(case: str) -> dict[str, Any]:
    return {name: value for name, value in {**LEAST, **BAD[case]}.items() if value is not ...}


def as_options(fields: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for name, value in fields.items():
        option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
        if name == "jwks":
            (folder / "jwks.json").write_text(value)
            yield from ("--jwks-file", str(folder / "jwks.json"))
        elif name == "verifier_maps":
            for one in value:
                kind = "certificate" if "certificate" in one else "shared_key"
                (folder / one["name"]).write_text(one[kind])
                yield from ("--certificate" if kind == "certificate" else "--shared-key-file",)
                yield f"{one['name']}={folder / one['name']}"
        elif isinstance(value, bool):
            yield option if value else option.replace("--", "--no-", 1)
        else:
            for item in value if isinstance(value, list) else [value]:
                yield from (option, str(item))


@pytest.mark.parametrize("case", BAD)
def test_all_refuse_in_the_same_words(case: str, api: IntegrationApi, run_prepared: Run, tmp_path: Path) -> None:
    fields = fields_of(case)
    words = api.refused("POST", "", fields)
    assert words == (refusal_of_schema(fields) or words)
    assert re.match(r"[a-z_]+: \S", words)

    created = run_prepared("integration", "create", *as_options(fields, tmp_path))
    assert (created.code, created.out, created.err) == (1, "", f"changegate: {words}\n")

    file = tmp_path / "integrations.yaml"
    file.write_text(json.dumps({"integrations": [fields]}))  # JSON is YAML
    applied = run_prepared("integration", "apply", "-f", str(file))
    assert (applied.code, applied.out) == (1, "")
    place = re.compile(rf"(?:changegate: )?{re.escape(str(file))}, line 1, column \d+: ")
    assert "; ".join(place.sub("", line) for line in applied.err.splitlines()) == words
    assert api.result("GET") == []


def refusal_of_schema(fields: dict[str, Any]) -> str | None:
    """Return the words of the schema; None where it takes what a service refuses."""
    try:
        load_integration(fields)
    except InputInvalid as refusal:
        return refusal.message
    return None


BAD_CHANGES = (
    *(
        "both subject rules",
        "the tenant of all organizations",
        "a shared issuer that only reports",
        "no number",
        "an unknown user",
    ),
    *("a key set beside a URL", "a short shared key", "an algorithm for shared keys", "an invalid duration"),
)


@pytest.mark.parametrize("case", BAD_CHANGES)
def test_both_refuse_a_change_in_the_same_words(
    case: str, api: IntegrationApi, run_prepared: Run, tmp_path: Path
) -> None:
    bad = {name: value for name, value in BAD[case].items() if value is not ...}
    if case == "both subject rules":
        bad["run_as"] = "admin"
    client_id = api.created()["client_id"]
    words = api.refused("PATCH", f"/{client_id}", bad)
    updated = run_prepared("integration", "update", client_id, *as_options(bad, tmp_path))
    assert (updated.code, updated.err) == (1, f"changegate: {words}\n")


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> IntegrationApi:
    return IntegrationApi(client, admin)
