"""Claims become fields: for every provider whose tokens contain their provenance, and for no other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.database.packed import PackedJSON
from changegate.models import Task
from changegate.schemas.presets import PRESETS
from changegate.services.access.caller import TokenOrigin
from changegate.services.provenance.claim_layouts import KNOWN_ISSUERS, LAYOUTS, find_layout, text_of_claim
from changegate.services.provenance.provenance import provenance_of, read_provenance
from tests.support import provider_layouts
from tests.support.provider_layouts import LAYOUTS as TOKENS
from tests.support.provider_tokens import ProviderToken

GITHUB = "https://token.actions.githubusercontent.com"
COMMIT = "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334"
GITHUB_FIELDS = {
    "source_repository": "acme/shop",
    "source_id": "613905472",
    "source_ref": "refs/heads/main",
    "source_commit": COMMIT,
    "source_workflow": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    "source_run": "9182736450",
    "source_run_url": "https://github.com/acme/shop/actions/runs/9182736450/attempts/1",
    "source_actor": "octo",
    "source_environment": "production",
}
GITLAB_FIELDS = {
    "source_repository": "acme/shop",
    "source_id": "4711",
    "source_ref": "main",
    "source_commit": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    "source_workflow": "gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
    "source_run": "574",
    "source_run_url": "https://gitlab.com/acme/shop/-/pipelines/574",
    "source_actor": "octo",
    "source_environment": "production",
}
TERRAFORM_FIELDS = {
    "source_id": "ws-mbsd5E3Ktt5Rg2Xm",
    "source_workflow": "acme/platform/shop",
    "source_run": "run-3nAGTYsDkqS4hdTc",
    "source_run_url": "https://app.terraform.io/app/acme/workspaces/shop/runs/run-3nAGTYsDkqS4hdTc",
}
KUBERNETES_FIELDS = {
    "source_id": "0184990a-477b-4fa8-9968-000000000009",
    "source_workflow": "deploy/release",
    "source_run": "runner-7d4b9",
}
SELF_MANAGED_URL = "https://git.acme.example/acme/shop/-/pipelines/574"
EUROPEAN_URL = "https://app.eu.terraform.io/app/acme/workspaces/shop/runs/run-3nAGTYsDkqS4hdTc"
FIELDS: dict[str, dict[str, str]] = {
    "github": GITHUB_FIELDS,
    "github_immutable_subject": GITHUB_FIELDS,
    "github_enterprise": GITHUB_FIELDS,
    "gitlab": GITLAB_FIELDS,
    "gitlab_self_managed": GITLAB_FIELDS | {"source_run_url": SELF_MANAGED_URL},
    "hcp_terraform": TERRAFORM_FIELDS,
    "hcp_terraform_europe": TERRAFORM_FIELDS | {"source_run_url": EUROPEAN_URL},
    "buildkite": {
        "source_id": "0184990a-477b-4fa8-9968-000000000003",
        "source_ref": "main",
        "source_commit": "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
        "source_workflow": "acme/shop",
        "source_run": "1",
        "source_run_url": "https://buildkite.com/acme/shop/builds/1",
    },
    "circleci": {
        "source_repository": "github.com/acme/shop",
        "source_id": "0184990a-477b-4fa8-9968-000000000003",
        "source_ref": "refs/heads/main",
        "source_workflow": "0184990a-477b-4fa8-9968-000000000021",
        "source_run": "0184990a-477b-4fa8-9968-000000000023",
        "source_run_url": "https://app.circleci.com/pipelines/workflows/0184990a-477b-4fa8-9968-000000000023",
    },
    "jenkins": {
        "source_workflow": "https://ci.acme.example/jenkins/job/shop/job/main/",
        "source_run": "42",
        "source_run_url": "https://ci.acme.example/jenkins/job/shop/job/main/42/",
    },
    "bitbucket": {
        "source_id": "{0184990a-477b-4fa8-9968-000000000003}",
        "source_ref": "main",
        "source_run": "{0184990a-477b-4fa8-9968-000000000030}",
        "source_environment": "{0184990a-477b-4fa8-9968-000000000028}",
    },
    "google": {"source_email": "bot@acme-prod.iam.gserviceaccount.com"},
    "eks": KUBERNETES_FIELDS,
    "gke": KUBERNETES_FIELDS,
    "aks": KUBERNETES_FIELDS,
}


def found_in(claims: dict[str, Any], *, preset: str | None = "github-actions", issuer: str = GITHUB) -> dict[str, str]:
    """Return what a record gets of claims, without what it gets of every exchange."""
    packed = PackedJSON().process_bind_param(claims, None)
    found = provenance_of(TokenOrigin("c" * 32, "e" * 32, preset, issuer, "somebody", packed))
    said = {name: found.pop(name) for name in ("oauth_client_id", "oauth_exchange", "oauth_issuer", "oauth_subject")}
    assert said["oauth_issuer"] == issuer
    return found


def claims_of(token: ProviderToken) -> dict[str, Any]:
    return {name: value for name, value in token.claims.items() if not callable(value)}


@pytest.mark.parametrize(("name", "token"), TOKENS.items(), ids=list(TOKENS))
def test_reads_the_provenance_of_each_providers_tokens(name: str, token: ProviderToken) -> None:
    assert found_in(claims_of(token), preset=token.preset, issuer=token.issuer) == FIELDS.get(name, {})


def test_every_layout_has_a_preset_that_lists_its_claims() -> None:
    class Watched(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return default

    for name, layout in LAYOUTS.items():
        asked: set[str] = set()
        read_provenance(layout, GITHUB, Watched())
        known = {claim.name.split("/")[1] if claim.name[0] == "/" else claim.name for claim in PRESETS[name].claims}
        assert asked
        assert asked <= known, name


@pytest.mark.parametrize("name", ["github", "gitlab", "bitbucket", "buildkite", "circleci", "hcp_terraform"])
def test_recognizes_an_issuer_that_is_one_providers_without_its_preset(name: str) -> None:
    token = TOKENS[name]
    assert found_in(claims_of(token), preset=None, issuer=token.issuer) == FIELDS[name]


@pytest.mark.parametrize(
    "issuer", [f"{GITHUB}.evil.example", f"{GITHUB}evil", "https://evil.example/", "http://gitlab.com", "gitlab.com"]
)
def test_takes_no_other_issuer_for_a_known_one(issuer: str) -> None:
    assert find_layout(None, issuer) is None
    assert found_in(claims_of(provider_layouts.GITHUB), preset=None, issuer=issuer) == {}


def test_every_known_issuer_has_a_layout() -> None:
    assert set(KNOWN_ISSUERS.values()) <= LAYOUTS.keys() <= PRESETS.keys()


def test_an_exchange_without_an_assertion_shows_its_client_and_exchange() -> None:
    assert provenance_of(TokenOrigin("c" * 32, "e" * 32)) == {"oauth_client_id": "c" * 32, "oauth_exchange": "e" * 32}


def test_cuts_what_a_column_does_not_hold_so_that_it_shows() -> None:
    found = found_in({"repository": "a" * 300, "sha": "b" * 64, "actor": "ä" * 101})
    assert found["source_repository"] == "a" * 254 + "…"
    assert found["source_commit"] == "b" * 64
    assert found["source_actor"] == "ä" * 99 + "…"


def test_shows_what_cannot_be_printed_as_such() -> None:
    found = found_in({"actor": "octo\u202egnp.\n", "ref": "\x00"})
    assert (found["source_actor"], found["source_ref"]) == ("octo�gnp.�", "�")


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email_verified": True}, "ann@example.com"),
        ({"email_verified": "true"}, "ann@example.com"),
        ({"email_verified": False}, None),
        ({"email_verified": 1.5}, None),
        ({}, None),
        ({"email": ["ann@example.com"], "email_verified": True}, None),
        ({"email": "", "email_verified": True}, None),
        ({"email": "a" * 101, "email_verified": True}, None),
    ],
)
def test_takes_an_email_of_any_provider_that_has_verified_it(claims: dict[str, Any], email: str | None) -> None:
    found = found_in({"email": "ann@example.com"} | claims, preset=None, issuer="https://idp.example.com")
    assert found.get("source_email") == email


@pytest.mark.parametrize("value", ["", None, True, False, 1.5, [], ["x"], {"x": 1}])
def test_takes_texts_and_whole_numbers_only(value: Any) -> None:
    assert text_of_claim(value) is None
    assert found_in({"repository": value, "run_id": value}) == {}


def test_a_tag_is_the_ref_of_a_build_of_it() -> None:
    claims = {"build_tag": "v1", "build_branch": "main"}
    assert found_in(claims, preset="buildkite")["source_ref"] == "v1"


def test_a_path_is_whole_or_not_there() -> None:
    layout = {"preset": "kubernetes", "issuer": "https://cluster.example"}
    assert found_in({"kubernetes.io": {"namespace": "deploy"}}, **layout) == {}
    assert found_in({"kubernetes.io": "deploy"}, **layout) == {}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=400)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=2)
NAMES = sorted({name for token in TOKENS.values() for name in token.claims})


@given(st.sampled_from(sorted(LAYOUTS)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_whatever_claims_hold_every_value_fits_its_column_and_can_be_printed(name: str, claims: dict[str, Any]) -> None:
    for field, text in read_provenance(LAYOUTS[name], GITHUB, claims).items():
        assert text
        assert len(text) <= Task.__table__.c[field].type.length
        assert text.isprintable()
