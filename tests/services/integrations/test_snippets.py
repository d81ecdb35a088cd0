"""The texts to copy: which are offered, what they contain, and that those who run them can read them."""

import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml

from changegate.services.integrations.snippet_layouts import PIPELINES, SNIPPET_LAYOUTS
from changegate.services.integrations.snippet_quoting import NotQuotedError, make_environment, quote_plain
from changegate.services.integrations.snippets import Snippet, SnippetContext, list_snippets
from tests.support.snippet_texts import script_of, structure_of

TARGET = SnippetContext(
    client_id="0123456789abcdef0123456789abcdef",
    is_public=False,
    audience="https://desk.example.com/it's",
    issuer="https://idp.example.com/realms/ci",
    base_url="https://desk.example.com",
)
CLIENTS = ["shell", "powershell", "python", "pysnc", "ansible"]
PROVIDERS = [None, *(name for name in SNIPPET_LAYOUTS if name not in CLIENTS)]
# Not that of a client at the provider.
SECRET = re.compile(r"(?<!PROVIDER_)CLIENT_SECRET")
YAML = [name for name, layout in SNIPPET_LAYOUTS.items() if ".yml" in layout.template]


def of(name: str, target: SnippetContext = TARGET, **conditions: Any) -> Snippet:
    """Return one snippet of an integration of its own provider, with conditions that claims equal values."""
    preset = None if name in CLIENTS else name
    rows = [{"claim": claim, "operator": "equals", "value": value} for claim, value in conditions.items()]
    wanted = replace(target, preset=preset, claim_conditions=[*target.claim_conditions, *rows])
    return next(snippet for snippet in list_snippets(wanted) if snippet.name == name)


def yaml_of(name: str, **conditions: Any) -> Any:
    return structure_of(of(name, **conditions).text)


def names_of(fits: bool, **changes: Any) -> list[str]:
    return [snippet.name for snippet in list_snippets(replace(TARGET, **changes)) if snippet.fits is fits]


def test_begins_with_the_providers_own_and_folds_those_of_others() -> None:
    assert names_of(True, preset="gitlab") == ["gitlab", *CLIENTS]
    assert names_of(False, preset="gitlab") == [name for name in PIPELINES if name != "gitlab"]
    assert names_of(True, preset="spiffe") == ["spiffe", *CLIENTS]


def test_offers_what_any_provider_fits_if_it_is_unknown() -> None:
    assert names_of(True) == CLIENTS
    assert names_of(False) == [*PIPELINES]


def test_recognizes_azure_pipelines_and_offers_it_with_entra_id() -> None:
    assert names_of(True, issuer="https://vstoken.dev.azure.com/0f9e8d7c")[0] == "azure-pipelines"
    assert names_of(True, preset="entra-id")[:2] == ["entra-id", "azure-pipelines"]


@pytest.mark.parametrize("preset", PROVIDERS)
@pytest.mark.parametrize("is_public", [True, False])
def test_fills_in_everything_but_the_secret(preset: str | None, is_public: bool) -> None:
    for snippet in list_snippets(replace(TARGET, preset=preset, is_public=is_public)):
        assert TARGET.client_id in snippet.text, snippet.name
        assert TARGET.base_url in snippet.text, snippet.name
        assert "[[" not in snippet.text and "[%" not in snippet.text, snippet.name
        assert (SECRET.search(snippet.text) is not None) is not is_public, snippet.name
        assert ("secret" in snippet.setup) is not is_public, snippet.name


@pytest.mark.parametrize("preset", PROVIDERS)
@pytest.mark.parametrize("connection_type", ["jwt_bearer", "id_token"])
def test_is_a_script_that_a_shell_can_read_and_an_old_curl_can_run(preset: str | None, connection_type: str) -> None:
    snippets = list_snippets(replace(TARGET, preset=preset, connection_type=connection_type))
    scripts = {snippet.name: script for snippet in snippets if (script := script_of(snippet))}
    assert preset is None or preset in scripts
    for name, script in scripts.items():
        assert script.rstrip().endswith('echo "Created $number"'), name
        # Not in curl 7.61 of RHEL 8; and jq is not everywhere.
        assert not {"--json", "--fail-with-body", "jq"} & set(script.split()), name
        read = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert read.returncode == 0, (name, read.stderr)


@pytest.mark.parametrize("name", YAML)
@pytest.mark.parametrize("is_public", [True, False])
def test_is_yaml_of_the_expected_structure(name: str, is_public: bool) -> None:
    read = structure_of(of(name, replace(TARGET, is_public=is_public)).text)
    steps = {
        "github-actions": lambda: read["jobs"]["create-change"]["steps"],
        "gitlab": lambda: read["create-change"]["script"],
        "azure-pipelines": lambda: read["steps"],
        "kubernetes": lambda: read["spec"]["containers"],
        "circleci": lambda: read["jobs"]["create-change"]["steps"],
        "buildkite": lambda: read["steps"],
        "bitbucket": lambda: read["pipelines"]["default"][0]["step"]["script"],
        "ansible": lambda: read[0]["tasks"][:1],
    }[name]()
    assert len(steps) == 1


def test_a_condition_on_the_environment_puts_it_into_the_job() -> None:
    assert yaml_of("github-actions", environment="production")["jobs"]["create-change"]["environment"] == "production"
    assert "environment" not in yaml_of("github-actions")["jobs"]["create-change"]
    subject = yaml_of("github-actions", sub="repo:acme/shop:environment:production")["jobs"]["create-change"]
    assert subject["environment"] == "production"
    assert yaml_of("gitlab", environment="Production EU")["create-change"]["environment"] == "Production EU"


def test_a_condition_on_the_ref_decides_when_the_job_runs() -> None:
    github = yaml_of("github-actions", ref="refs/heads/main")
    assert github["on"] == {"push": {"branches": ["main"]}}
    assert github["jobs"]["create-change"]["if"] == "github.ref == 'refs/heads/main'"
    assert yaml_of("github-actions")["on"] == {"workflow_dispatch": None}
    assert yaml_of("github-actions", ref="refs/tags/v1")["on"] == {"push": {"tags": ["v1"]}}
    assert yaml_of("github-actions", event_name="schedule")["on"] == {"schedule": None}
    gitlab = yaml_of("gitlab", ref="main", ref_protected="true", pipeline_source="push")["create-change"]
    assert gitlab["rules"] == [
        {"if": '$CI_COMMIT_REF_NAME == "main" && $CI_COMMIT_REF_PROTECTED == "true" && $CI_PIPELINE_SOURCE == "push"'}
    ]
    assert "rules" not in yaml_of("gitlab")["create-change"]
    assert yaml_of("azure-pipelines", rpo_ref="refs/heads/main")["trigger"] == {
        "branches": {"include": ["refs/heads/main"]}
    }
    circleci = yaml_of("circleci", **{"oidc.circleci.com/vcs-ref": "refs/heads/main"})
    assert circleci["workflows"]["create-change"]["jobs"] == [
        {"create-change": {"filters": {"branches": {"only": "main"}}}}
    ]
    assert [*yaml_of("bitbucket", branchName="main")["pipelines"]["branches"]] == ["main"]
    assert yaml_of("buildkite", build_branch="main")["steps"][0]["branches"] == "main"


def test_a_condition_decides_who_runs_it() -> None:
    pod = yaml_of("kubernetes", sub="system:serviceaccount:deploy:release")
    assert (pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]) == ("deploy", "release")
    claims = {"/kubernetes.io/namespace": "deploy", "/kubernetes.io/serviceaccount/name": "release"}
    assert yaml_of("kubernetes", **claims) == pod
    assert "serviceAccountName" not in yaml_of("kubernetes")["spec"]
    assert (
        yaml_of("github-actions", runner_environment="self-hosted")["jobs"]["create-change"]["runs-on"] == "self-hosted"
    )
    connection = of("azure-pipelines", sub="/eid1/c/pub/t/x/a/y/sc/0f9e8d7c/7b1e6d0c").text
    assert "&serviceConnectionId=7b1e6d0c" in connection
    named = of("azure-pipelines", sub="sc://acme/shop/changegate")
    assert '&serviceConnectionId=$SERVICE_CONNECTION_ID"' in named.text
    assert "service connection changegate." in named.text
    assert structure_of(named.text)["steps"][0]["env"]["SERVICE_CONNECTION_ID"] == "REPLACE_THIS"
    assert "serviceConnectionId" not in of("azure-pipelines").text
    assert "--claim cluster_id)" in of("buildkite", cluster_id="0184990a").text
    assert "--claim organization_id --claim pipeline_id)" in of("buildkite").text


def test_several_allowed_values_and_patterns() -> None:
    rows = [
        {"claim": "event_name", "operator": "one_of", "value": ["push", "workflow_dispatch"]},
        {"claim": "ref", "operator": "glob", "value": "refs/heads/main"},
        {"claim": "environment", "operator": "glob", "value": "prod*"},
        {"claim": "actor", "operator": "exists", "value": None},
        {"claim": "run_id", "operator": "equals", "value": 7},
    ]
    github = structure_of(of("github-actions", replace(TARGET, claim_conditions=rows)).text)
    assert github["on"] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}
    assert "environment" not in github["jobs"]["create-change"]


def test_refers_to_each_providers_own_place_for_secrets() -> None:
    step = yaml_of("github-actions")["jobs"]["create-change"]["steps"][0]
    assert step["env"] == {"CLIENT_SECRET": "${{ secrets.CLIENT_SECRET }}"}
    assert "credentialsId: 'changegate-secret'" in of("jenkins").text
    assert "masked" in of("gitlab").setup
    [variable] = yaml_of("kubernetes")["spec"]["containers"][0]["env"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "changegate", "key": "client-secret"}}
    assert yaml_of("azure-pipelines")["steps"][0]["env"]["CLIENT_SECRET"] == "$(CLIENT_SECRET)"


def test_requests_the_audience_that_is_accepted() -> None:
    assert yaml_of("gitlab")["create-change"]["id_tokens"] == {"ASSERTION": {"aud": TARGET.audience}}
    [volume] = yaml_of("kubernetes")["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == TARGET.audience
    step = yaml_of("bitbucket")["pipelines"]["default"][0]["step"]
    assert step["oidc"] == {"audiences": [TARGET.audience]}


def test_leaves_dollars_to_the_shell_where_the_provider_would_replace_variables() -> None:
    text = of("buildkite").text
    assert "$$CHANGEGATE" in text
    assert "$CHANGEGATE" not in text.replace("$$", "")


def test_asks_the_issuers_own_token_endpoint() -> None:
    assert " https://idp.example.com/realms/ci/protocol/openid-connect/token " in of("keycloak").text


def test_a_client_with_credentials_sends_its_secret_and_no_assertion() -> None:
    for snippet in list_snippets(replace(TARGET, connection_type="client_credentials")):
        assert snippet.fits and "client_credentials" in snippet.text and "CLIENT_SECRET" in snippet.text
        assert "assertion" not in snippet.text.lower() and "ASSERTION" not in snippet.setup


def test_the_password_grant_names_whose_password_it_is_and_refreshes_where_it_may() -> None:
    plain, refreshed = (
        list_snippets(replace(TARGET, connection_type="password", gives_refresh_tokens=gives))[0]
        for gives in (False, True)
    )
    assert "grant_type=password" in plain.text and '"password=$USER_PASSWORD"' in plain.text
    assert "USER_NAME and USER_PASSWORD are those of the user." in plain.setup
    assert "refresh_token" not in plain.text and "grant_type=refresh_token" in refreshed.text
    for snippet in (plain, refreshed):
        subprocess.run(["sh", "-n"], input=snippet.text, text=True, check=True)


@pytest.mark.parametrize("preset", PROVIDERS)
def test_an_id_token_goes_straight_to_the_api(preset: str | None) -> None:
    for snippet in list_snippets(replace(TARGET, preset=preset, connection_type="id_token")):
        assert "oauth_token.do" not in snippet.text and not SECRET.search(snippet.text), snippet.name
        assert "Bearer" in snippet.text, snippet.name


def test_no_template_prints_a_value_that_no_filter_has_quoted() -> None:
    environment = make_environment()
    for source in ("[[ value ]]", "x[[ value | upper ]]", "[% macro of(x) %][[ x ]][% endmacro %][[ of(value) ]]"):
        with pytest.raises(NotQuotedError):
            environment.from_string(source).render(value="$(reboot)")
    with pytest.raises(ValueError, match="needs quotes"):
        quote_plain("$(reboot)")


def test_yaml_scalars_are_quoted_only_where_they_must_be() -> None:
    quote = make_environment().filters["yaml"]
    for text in (
        "main",
        "yes",
        "on",
        "null",
        "42",
        "1.0",
        "a: b",
        "a #b",
        "- a",
        "",
        "it's",
        "über",
        "refs/heads/main",
        "x:",
    ):
        assert yaml.safe_load(f"value: {quote(text)}") == {"value": text}
    assert quote("refs/heads/main") == "refs/heads/main"
