"""Addresses of runs lead to the provider's own host, or nowhere."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.provenance.claim_layouts import LAYOUTS
from changegate.services.provenance.provenance import read_provenance
from changegate.services.provenance.run_urls import (
    RunUrl,
    buildkite_build,
    circleci_workflow,
    github_run,
    gitlab_pipeline,
    jenkins_build,
    terraform_run,
)

GITHUB = "https://token.actions.githubusercontent.com"
RUN = {"repository": "acme/shop", "run_id": "7", "run_attempt": "2"}
PATH = "acme/shop/actions/runs/7/attempts/2"
PIPELINE = {"project_path": "acme/sub/shop", "pipeline_id": "574"}
JOB = "https://ci.example/jenkins/job/shop"
HOSTILE = ["", ".", "..", None, 7, ["acme"], {"a": 1}]
HOSTILE_NUMBERS = ["", "-1", "1.0", "\u0661", "7/../8", "7?x", "7 ", None, True, 1.5, ["7"]]


@pytest.mark.parametrize(
    ("issuer", "server"),
    [
        (GITHUB, "https://github.com"),
        (f"{GITHUB}/acme-inc", "https://github.com"),
        ("https://github.acme.example/_services/token", "https://github.acme.example"),
        ("https://github.acme.example:8443/_services/token", "https://github.acme.example:8443"),
        ("https://token.actions.acme.ghe.com", "https://acme.ghe.com"),
    ],
)
def test_a_run_at_github_is_at_the_server_that_the_issuer_belongs_to(issuer: str, server: str) -> None:
    assert github_run(issuer, RUN) == f"{server}/{PATH}"


@pytest.mark.parametrize(
    "issuer",
    [
        "http://github.acme.example/_services/token",
        "https://user@github.example/_services/token",
        "https://github.example\\@evil/_services/token",
        "https://github.example/x/_services/token",
        "https://token.actions.acme.evil.ghe.com",
        "https://token.actions.acme.ghe.com.evil.example",
        f"{GITHUB}.evil.example",
        "https:///_services/token",
        "https://[::1/_services/token",
        "javascript:alert(1)//_services/token",
        "",
    ],
)
def test_a_run_at_github_has_no_address_where_its_server_is_not_known(issuer: str) -> None:
    assert github_run(issuer, RUN) is None


@pytest.mark.parametrize("repository", [*HOSTILE, "acme", "acme/", "/shop", "acme/..", "./shop", "a/b/c", "acme//shop"])
def test_an_invalid_repository_has_no_address(repository: Any) -> None:
    assert github_run(GITHUB, RUN | {"repository": repository}) is None


@pytest.mark.parametrize("number", HOSTILE_NUMBERS)
def test_a_run_id_that_is_not_numeric_has_no_address(number: Any) -> None:
    assert github_run(GITHUB, RUN | {"run_id": number}) is None
    assert github_run(GITHUB, RUN | {"run_attempt": number}) is None
    assert gitlab_pipeline("https://gitlab.com", PIPELINE | {"pipeline_id": number}) is None


def test_a_claim_cannot_leave_its_segment_of_the_path() -> None:
    url = github_run(GITHUB, RUN | {"repository": 'acme?x=1#y/"><script>\\@evil.example:1%2e%2e'})
    assert url == (
        "https://github.com/acme%3Fx%3D1%23y/%22%3E%3Cscript%3E%5C%40evil.example%3A1%252e%252e"
        "/actions/runs/7/attempts/2"
    )


@pytest.mark.parametrize(
    ("issuer", "start"),
    [
        ("https://gitlab.com", "https://gitlab.com/acme"),
        ("https://git.acme.example/", "https://git.acme.example/acme"),
        ("https://git.acme.example/tools/gitlab", "https://git.acme.example/tools/gitlab/acme"),
        ("https://git.acme.example?x", "https://git.acme.example/acme"),
    ],
)
def test_a_pipeline_is_at_its_installation(issuer: str, start: str) -> None:
    assert gitlab_pipeline(issuer, PIPELINE) == f"{start}/sub/shop/-/pipelines/574"


@pytest.mark.parametrize("issuer", ["http://gitlab.com", "https://a@b", "https://git.example/../x", "gitlab.com", ""])
def test_a_pipeline_has_no_address_where_its_installation_has_none(issuer: str) -> None:
    assert gitlab_pipeline(issuer, PIPELINE) is None


@pytest.mark.parametrize(
    ("of_run", "claims"),
    [
        (buildkite_build, {"organization_slug": "acme", "pipeline_slug": "shop", "build_number": 1}),
        (circleci_workflow, {"oidc.circleci.com/workflow-id": "w"}),
        (
            terraform_run,
            {
                "terraform_organization_name": "acme",
                "terraform_workspace_name": "shop",
                "terraform_run_id": "run-1",
            },
        ),
        (gitlab_pipeline, PIPELINE),
    ],
)
def test_without_one_of_its_parts_there_is_no_address(of_run: RunUrl, claims: dict[str, Any]) -> None:
    issuer = "https://app.terraform.io"
    assert of_run(issuer, claims) is not None
    for name in claims:
        for value in ("", "..", None, ["x"]):
            assert of_run(issuer, claims | {name: value}) is None


@pytest.mark.parametrize(
    ("issuer", "job", "url"),
    [
        ("https://ci.example/jenkins/oidc", f"{JOB}/", f"{JOB}/42/"),
        ("https://ci.example/jenkins/oidc", JOB, f"{JOB}/42/"),
        ("https://ci.example/jenkins/job/shop/oidc", f"{JOB}/job/main/", f"{JOB}/job/main/42/"),
        ("https://ci.example/jenkins/oidc", f"{JOB}/job/feature%252Fx/", f"{JOB}/job/feature%252Fx/42/"),
        ("https://ci.example/oidc", "https://ci.example/job/a?b=/", "https://ci.example/job/a%3Fb%3D/42/"),
    ],
)
def test_a_build_of_jenkins_is_at_its_job(issuer: str, job: str, url: str) -> None:
    assert jenkins_build(issuer, {"sub": job, "build_number": 42}) == url


@pytest.mark.parametrize(
    "job",
    [
        "https://evil.example/jenkins/job/shop/",
        "https://ci.example/other/job/shop/",
        "https://ci.example/jenkins.evil.example/job/shop/",
        "https://ci.example/jenkins/job/../../evil/",
        "https://ci.example/jenkins/job/%2e%2e/evil/",
        "https://ci.example/jenkins/job//evil/",
        "shop",
        7,
        None,
    ],
)
def test_a_subject_that_is_no_job_of_the_controller_has_no_address(job: Any) -> None:
    assert jenkins_build("https://ci.example/jenkins/oidc", {"sub": job, "build_number": 42}) is None


def test_a_controller_without_https_has_no_addresses() -> None:
    assert jenkins_build("http://ci.example/oidc", {"sub": "http://ci.example/job/a/", "build_number": 42}) is None


SERVERS = {
    "github-actions": (GITHUB, "github.com"),
    "gitlab": ("https://gitlab.com", "gitlab.com"),
    "buildkite": ("https://agent.buildkite.com", "buildkite.com"),
    "circleci": ("https://oidc.circleci.com/org/1", "app.circleci.com"),
    "hcp-terraform": ("https://app.terraform.io", "app.terraform.io"),
    "jenkins": ("https://ci.example/oidc", "ci.example"),
}
CLAIMS = (
    *("repository", "run_id", "run_attempt", "project_path", "pipeline_id", "organization_slug", "pipeline_slug"),
    *("build_number", "oidc.circleci.com/workflow-id", "terraform_organization_name", "terraform_workspace_name"),
    *("terraform_run_id", "sub"),
)
TEXTS = st.text(alphabet="a7/.:@?#%\\ é\n\u202e", max_size=12) | st.integers(0, 99).map(str)


@given(st.sampled_from(sorted(SERVERS)), st.fixed_dictionaries(dict.fromkeys(CLAIMS, TEXTS)))
def test_no_claim_leads_anywhere_else(name: str, claims: dict[str, str]) -> None:
    issuer, host = SERVERS[name]
    claims["sub"] = f"https://ci.example/job/{claims['sub']}"
    url = read_provenance(LAYOUTS[name], issuer, claims).get("source_run_url")
    if url is not None:
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", host, "", "")
        assert not {".", ".."} & {unquote(part) for part in parts.path.split("/")}
        assert url.isascii()
        assert url.isprintable()
        assert " " not in url
