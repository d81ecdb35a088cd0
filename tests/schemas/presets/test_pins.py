import pytest

from changegate.schemas.presets import PRESETS, advise_pins, require_pins

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
GOOGLE = "https://accounts.google.com"
BUILDKITE = "https://agent.buildkite.com"
TERRAFORM = "https://app.terraform.io"
TERRAFORM_EU = "https://app.eu.terraform.io"
SHARED = (GITHUB, f"{GITHUB}/acme-inc", GITLAB, GOOGLE, BUILDKITE, TERRAFORM, TERRAFORM_EU)
OWN = "https://git.example.com"
AUDIENCES = ["https://change.example.com"]
ID = "0184990a-477b-4fa8-9968-496074483cee"


def condition(claim="repository_id", value="613905472", **changes):
    usual = {"operator": "equals", "value_type": "string", "report_only": False}
    return usual | {"claim": claim, "value": value} | changes


def missing(issuer, *conditions, preset=None, audiences=AUDIENCES):
    return require_pins(issuer, preset, conditions, audiences)


@pytest.mark.parametrize("preset", [None, "github-actions", "jenkins", "nobody"])
@pytest.mark.parametrize("issuer", SHARED)
def test_a_shared_issuer_without_a_pin_is_refused_whatever_preset_was_chosen(issuer, preset):
    [told] = missing(issuer, preset=preset)
    assert "signs for everybody under this issuer" in told
    assert told.endswith(".")


def test_the_refusal_names_the_claims_that_count():
    [told] = missing(GITHUB)
    assert "on repository_id or repository_owner_id or enterprise_id or sub with" in told


@pytest.mark.parametrize(
    ("issuer", "claim", "value"),
    [
        (GITHUB, "repository_id", "613905472"),
        (GITHUB, "repository_owner_id", "9919"),
        (GITHUB, "enterprise_id", "1"),
        (GITHUB, "sub", "repo:acme@9919/shop@613905472:environment:production"),
        (f"{GITHUB}/acme-inc", "repository_owner_id", "9919"),
        (GITLAB, "project_id", "4711"),
        (GITLAB, "namespace_id", "72"),
        (GOOGLE, "sub", "110169484474386276334"),
        (GOOGLE, "azp", "110169484474386276334"),
        (BUILDKITE, "organization_id", ID),
        (BUILDKITE, "pipeline_id", ID),
        (BUILDKITE, "cluster_id", ID),
        (BUILDKITE, "queue_id", ID),
        (BUILDKITE, "sub", ID),
        (TERRAFORM, "terraform_organization_id", "org-GRNbCjYNpBB6NEBh"),
        (TERRAFORM, "terraform_project_id", "prj-vegSA59s1XPwMr2t"),
        (TERRAFORM_EU, "terraform_workspace_id", "ws-mbsd5E3Ktt5Rg2Xm"),
    ],
)
def test_one_immutable_pin_suffices_by_equals_or_one_of(issuer, claim, value):
    assert missing(issuer, condition(claim, value)) == []
    assert missing(issuer, condition(claim, [value, value], operator="one_of")) == []
    assert missing(issuer, condition("event_name", "push"), condition(f"/{claim}", value)) == []


@pytest.mark.parametrize(
    ("issuer", "claim", "value"),
    [
        (GITHUB, "repository", "acme/shop"),
        (GITHUB, "repository_owner", "acme"),
        (GITHUB, "sub", "repo:acme/shop:environment:production"),
        (GITHUB, "sub", "repo:acme@9919/shop:environment:production"),
        (GITHUB, "sub", "environment:repo:acme@9919/shop@613905472:environment:production"),
        (GITHUB, "job_workflow_ref", "acme/shop/.github/workflows/deploy.yml@refs/heads/main"),
        (GITHUB, "repository_id", "acme/shop"),
        (GITHUB, "actor_id", "583231"),
        (GITHUB, "environment", "production"),
        (GITHUB, "/vendor/repository_id", "613905472"),
        (GITLAB, "project_path", "acme/shop"),
        (GITLAB, "namespace_path", "acme"),
        (GITLAB, "job_project_id", "4711"),
        (GITLAB, "sub", "project_path:acme/shop:ref_type:branch:ref:main"),
        (GITLAB, "ref_protected", "true"),
        (GITLAB, "repository_id", "613905472"),
        (GOOGLE, "email", "bot@acme.iam.gserviceaccount.com"),
        (GOOGLE, "hd", "acme.example"),
        (GOOGLE, "sub", "bot@acme.iam.gserviceaccount.com"),
        (GOOGLE, "azp", "32555940559.apps.googleusercontent.com"),
        (BUILDKITE, "organization_slug", "acme"),
        (BUILDKITE, "organization_id", "acme"),
        (BUILDKITE, "sub", "organization:acme:pipeline:shop:ref:refs/heads/main:commit:abc:step:deploy"),
        (TERRAFORM, "terraform_organization_name", "acme"),
        (TERRAFORM, "terraform_full_workspace", "organization:acme:project:p:workspace:w:run_phase:apply"),
        (TERRAFORM, "terraform_organization_id", "acme"),
    ],
)
def test_what_others_can_have_too_is_no_pin(issuer, claim, value):
    assert len(missing(issuer, condition(claim, value))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"report_only": True},
        {"operator": "glob", "value": "6139*"},
        {"operator": "exists", "value": None},
        {"operator": "contains", "value": "613905472", "value_type": "list"},
        {"operator": "equals", "value": 613905472, "value_type": "number"},
        {"operator": "equals", "value": ["613905472"], "value_type": "list"},
        {"operator": "one_of", "value": []},
        {"operator": "one_of", "value": ["613905472", "acme/shop"]},
        {"operator": "one_of", "value": "613905472"},
        {"operator": "equals", "value": ""},
        {"operator": "equals", "value": "613905472\n"},
        {"operator": "equals", "value": "٣"},
    ],
    ids=repr,
)
def test_a_condition_counts_only_if_it_is_enforced_and_exact(changes):
    assert len(missing(GITHUB, condition(**changes))) == 1


def test_an_incomplete_condition_is_no_pin():
    assert len(missing(GITHUB, {})) == 1
    assert len(missing(GITHUB, {"claim": "repository_id"})) == 1


def test_an_issuer_of_ones_own_needs_no_pin():
    for preset in (None, *PRESETS.keys() - {"okta"}):
        assert missing(OWN, preset=preset) == []


def test_an_issuer_that_names_no_tenant_is_refused_beside_all_else():
    assert "/common" in missing("https://login.microsoftonline.com/common/v2.0", preset="entra-id")[0]
    assert len(missing("https://gitlab.com/{group}")) == 2


def test_where_no_audience_is_sent_the_accepted_ones_have_to_be_given():
    issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
    [told] = missing(issuer, preset="cognito", audiences=[])
    assert told.startswith("Amazon Cognito: Access tokens have no aud.")
    assert missing(issuer, preset="cognito", audiences=["1example23456789"]) == []


def test_elsewhere_the_client_id_is_the_audience_by_default():
    assert missing(OWN, preset="gitlab", audiences=[]) == []


def test_advises_against_one_user_for_a_shared_issuer():
    told = advise_pins(OWN, "gitlab", [], "release.bot")
    assert told == (
        "Everyone who gets a token for this audience acts as release.bot. Add a claim condition, best on project_id or "
        "namespace_id or ref_protected or ref or ci_config_ref_uri."
    )
    assert advise_pins(OWN, None, [condition(report_only=True)], "release.bot") == (
        "Everyone who gets a token for this audience acts as release.bot. Add a claim condition."
    )
    assert advise_pins(OWN, "gitlab", [condition()], "release.bot") is None
    assert advise_pins(OWN, "gitlab", [], None) is None


def test_advice_recognizes_the_provider_by_its_issuer():
    told = advise_pins("https://oidc.circleci.com/org/7b1e6d0c-2f3a-4c58-9e4d-5a6b7c8d9e0f", None, [], "release.bot")
    assert "best on oidc.circleci.com/project-id" in told
