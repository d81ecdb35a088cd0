"""A provider that signs for many: the token is genuine, for us, and comes from another tenant."""

from typing import Any

import pytest
from marshmallow import ValidationError

from changegate.oauth_errors import AssertionRefused
from changegate.schemas.integration import SCHEMAS
from changegate.schemas.presets import PRESETS, Preset
from changegate.schemas.presets.shape import IMMUTABLE
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.claim_conditions import load_conditions
from tests.regressions.attack import slug
from tests.support.attack_forms import said
from tests.support.forge import NOW
from tests.support.trust import key_set, policy

GITHUB = "https://token.actions.githubusercontent.com"
GOOGLE = "https://accounts.google.com"
TENANT, FOREIGN_TENANT = "7f000001-0000-4000-8000-000000000001", "7f000001-0000-4000-8000-000000000002"


def condition(claim: str, operator: str, value: object, value_type: str = "string") -> dict[str, Any]:
    return {"claim": claim, "operator": operator, "value_type": value_type, "value": value}


def is_accepted(conditions: list[dict[str, Any]], **claims: Any) -> bool:
    """Verify a genuine token with these claims; a refusal must be for a condition and for nothing else."""
    try:
        demands = policy(conditions=load_conditions(conditions))
        UnverifiedAssertion.parse(said(**claims)).verify(demands, key_set(), now=NOW)
    except AssertionRefused as refusal:
        assert refusal.reason == "claim_condition_failed"
        return False
    return True


OID = condition("oid", "equals", "11111111-aaaa-4000-8000-000000000001")
OURS = {"oid": OID["value"], "tid": TENANT, "email": "release@acme.example"}
FORK = {"project_id": "42", "namespace_id": "7", "ref": "main", "ref_protected": "true"}
CIRCLE = "oidc.circleci.com/"
CIRCLE_JOB = {
    f"{CIRCLE}project-id": "9a000001",
    f"{CIRCLE}vcs-origin": "github.com/acme/shop",
    f"{CIRCLE}ssh-rerun": False,
}
CIRCLE_RULES = [
    condition(f"{CIRCLE}project-id", "equals", "9a000001"),
    condition(f"{CIRCLE}vcs-origin", "equals", "github.com/acme/shop"),
    condition(f"{CIRCLE}ssh-rerun", "equals", False, "boolean"),
]
GITHUB_JOB = {
    "repository": "acme/shop",
    "repository_id": "1001",
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "event_name": "push",
    "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    "job_workflow_ref": "acme/deploy/.github/workflows/release.yml@refs/tags/v2",
}
REPOSITORY_ID = condition("repository_id", "equals", "1001")
EVENT = condition("event_name", "one_of", ["push", "workflow_dispatch"])
JOB_WORKFLOW = condition("job_workflow_ref", "glob", "acme/deploy/.github/workflows/release.yml@refs/tags/v*")

# The flaw, a name for the case, the conditions, the claims that pass, and what differs in those that must not.
FOREIGN: list[tuple[str, str, list[dict[str, Any]], dict[str, Any], dict[str, Any]]] = [
    ("CVE-2025-55241", "another tenant", [condition("tid", "equals", TENANT)], OURS, {"tid": FOREIGN_TENANT}),
    ("CVE-2025-55241", "no tenant", [condition("tid", "equals", TENANT)], OURS, {"tid": ...}),
    ("CVE-2023-3128", "same email", [OID], OURS, {"oid": "22222222-aaaa-4000-8000-000000000002"}),
    ("nOAuth", "same email, no oid", [OID], OURS, {"oid": ..., "email_verified": True}),
    *[
        ("GitHub repo:org*", f"org-evil, {glob}", [condition("sub", "glob", glob)], GITHUB_JOB, {"sub": evil})
        for glob in ("repo:acme/*:ref:refs/heads/*", "repo:acme/*:*:*/*/*")
        for evil in (
            "repo:acme-evil/shop:ref:refs/heads/main",
            "repo:acme/evil/shop:ref:refs/heads/main",
            "x/repo:acme/shop:ref:refs/heads/main",
            "repo:acme/shop:ref:refs/heads/main/x",
        )
    ],
    ("GitHub repo:org*", "pin", [condition("repository_owner", "equals", "acme")], {"repository_owner": "acme"},
     {"repository_owner": "acme-evil"}),
    ("GitHub name recycling", "same names", [REPOSITORY_ID], GITHUB_JOB, {"repository_id": "2002"}),
    ("GitHub name recycling", "a number", [REPOSITORY_ID], GITHUB_JOB, {"repository_id": 1001}),
    ("GitHub events", "pull_request", [EVENT], GITHUB_JOB, {"event_name": "pull_request"}),
    ("GitHub events", "pull_request_target", [EVENT], GITHUB_JOB, {"event_name": "pull_request_target"}),
    ("GitHub events", "workflow_run", [EVENT], GITHUB_JOB, {"event_name": "workflow_run"}),
    ("GitHub reusable workflows", "other file", [JOB_WORKFLOW], GITHUB_JOB,
     {"job_workflow_ref": "acme/shop/.github/workflows/release.yml@refs/tags/v2"}),
    ("GitHub reusable workflows", "only called", [JOB_WORKFLOW], GITHUB_JOB,
     {"workflow_ref": GITHUB_JOB["job_workflow_ref"], "job_workflow_ref": GITHUB_JOB["workflow_ref"]}),
    ("GitHub immutable sub", "new format", [condition("sub", "glob", "repo:acme/shop:ref:*/*/*")], GITHUB_JOB,
     {"sub": "repo:acme@77/shop@1001:ref:refs/heads/main"}),
    ("GitLab fork", "fork's project", [condition("project_id", "equals", "42")], FORK, {"project_id": "43"}),
    ("GitLab fork", "job in our project", [condition("project_id", "equals", "42")], FORK,
     {"project_id": "43", "job_project_id": "42"}),
    ("GitLab fork", "unprotected", [condition("ref_protected", "equals", "true")], FORK, {"ref_protected": "false"}),
    ("GitLab fork", "a boolean", [condition("ref_protected", "equals", "true")], FORK, {"ref_protected": True}),
    ("CircleCI fork", "fork's origin", CIRCLE_RULES, CIRCLE_JOB, {f"{CIRCLE}vcs-origin": "github.com/evil/shop"}),
    ("CircleCI fork", "ssh rerun", CIRCLE_RULES, CIRCLE_JOB, {f"{CIRCLE}ssh-rerun": True}),
    ("CircleCI fork", "no ssh rerun told", CIRCLE_RULES, CIRCLE_JOB, {f"{CIRCLE}ssh-rerun": ...}),
    ("Buildkite shared issuer", "other organization", [condition("organization_id", "equals", TENANT)],
     {"organization_id": TENANT, "organization_slug": "acme"}, {"organization_id": FOREIGN_TENANT}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "genuine", "foreign"),
    [
        pytest.param(conditions, genuine, foreign, id=f"{slug(flaw)}-{name}", marks=pytest.mark.regression(flaw))
        for flaw, name, conditions, genuine, foreign in FOREIGN
    ],
)
def test_a_condition_separates_own_tokens_from_those_of_other_tenants(
    conditions: list[dict[str, Any]], genuine: dict[str, Any], foreign: dict[str, Any]
) -> None:
    assert is_accepted(conditions, **genuine)
    assert not is_accepted(conditions, **(genuine | foreign))


@pytest.mark.regression("GitHub immutable sub")
def test_a_subject_with_ids_is_distinguished_from_the_expected_one() -> None:
    rule = condition("sub", "glob", "repo:acme/shop:ref:*/*/*")
    sent = "repo:acme@77/shop@1001:ref:refs/heads/main"
    with pytest.raises(AssertionRefused) as refused:
        demands = policy(conditions=load_conditions([rule]))
        UnverifiedAssertion.parse(said(sub=sent)).verify(demands, key_set(), now=NOW)
    [failed] = [result for result in refused.value.report.results if not result.passed]
    assert (failed.rule, failed.received) == ("claim sub", sent)
    assert rule["value"] in str(failed.expected)


SHARED = {
    "github-actions": GITHUB,
    "gitlab": "https://gitlab.com",
    "google": GOOGLE,
    "buildkite": "https://agent.buildkite.com",
    "hcp-terraform": "https://app.terraform.io",
}
# What looks like a pin and is none: a name, a pattern, a claim of every tenant, a rule that only reports.
NO_PINS: list[tuple[str, str, list[dict[str, Any]]]] = [
    *[("CVE-2024-28056", issuer, []) for issuer in SHARED.values()],
    ("GitHub roles without sub", GITHUB, [condition("aud", "equals", "https://change.example.com")]),
    ("GitHub roles without sub", GITHUB, [condition("repository_owner", "equals", "acme")]),
    ("GitHub roles without sub", GITHUB, [condition("repository_id", "exists", None)]),
    ("GitHub roles without sub", GITHUB, [condition("repository_id", "glob", "*")]),
    ("GitHub roles without sub", GITHUB, [REPOSITORY_ID | {"report_only": True}]),
    ("GitHub roles without sub", f"{GITHUB}/acme", []),
    ("Google domain re-registration", GOOGLE, [condition("hd", "equals", "acme.example")]),
    ("Google domain re-registration", GOOGLE, [condition("email", "equals", "release@acme.example")]),
    ("Google domain re-registration", GOOGLE, [condition("email", "glob", "*@acme.example")]),
    ("Buildkite shared issuer", SHARED["buildkite"], [condition("organization_slug", "equals", "acme")]),
]


@pytest.mark.parametrize(
    ("issuer", "conditions"),
    [
        pytest.param(issuer, given, id=f"{slug(flaw)}-{number}", marks=pytest.mark.regression(flaw))
        for number, (flaw, issuer, given) in enumerate(NO_PINS)
    ],
)
@pytest.mark.parametrize("preset", [None, "keycloak"])
def test_a_shared_issuer_cannot_be_trusted_without_a_pin(
    issuer: str, conditions: list[dict[str, Any]], preset: str | None
) -> None:
    with pytest.raises(ValidationError) as refused:
        SCHEMAS["jwt_bearer"].load(integration_of(issuer, conditions, preset))
    assert "signs for everybody" in str(refused.value.args[0]["claim_conditions"])


@pytest.mark.regression("CVE-2024-28056", "GitHub roles without sub")
def test_a_pin_of_the_tenant_is_enough() -> None:
    assert SCHEMAS["jwt_bearer"].load(integration_of(GITHUB, [REPOSITORY_ID], "github-actions"))


def integration_of(issuer: str, conditions: list[dict[str, Any]], preset: str | None) -> dict[str, Any]:
    """Return an integration as form, command line, file and admin API send it."""
    return {
        "name": "Pipeline",
        "provider_name": "Other",
        "issuer": issuer,
        "jwks_url": f"{issuer}/keys",
        "audiences": ["https://change.example.com"],
        "run_as": "release.bot",
        "preset": preset,
        "claim_conditions": conditions,
    }


@pytest.mark.regression("CVE-2023-3128", "nOAuth", "Google domain re-registration")
@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_no_preset_takes_a_name_or_an_address_for_an_identity(preset: Preset) -> None:
    lasting = {claim.name for claim in preset.claims if claim.kind == IMMUTABLE}
    assert not lasting & {"email", "hd", "upn", "preferred_username", "name", "repository", "repository_owner"}


@pytest.mark.regression("CVE-2025-47884")
def test_an_administrator_is_warned_of_claims_that_a_job_can_override() -> None:
    assert any("CVE-2025-47884" in trap for trap in PRESETS["jenkins"].traps)
