"""Claim layouts: for each provider, the claims that fill the provenance fields of a task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from changegate.services.provenance.run_urls import (
    Claims,
    RunUrl,
    buildkite_build,
    circleci_workflow,
    github_run,
    gitlab_pipeline,
    jenkins_build,
    no_url,
    terraform_run,
)

ClaimReader = Callable[[Claims], Any]
_CIRCLECI = "oidc.circleci.com"


@dataclass(frozen=True, slots=True)
class Layout:
    """The readers of a provider's claims, by field, and the function that builds the address of a run."""

    fields: Mapping[str, ClaimReader]
    run_url: RunUrl = no_url


def _claim(name: str) -> ClaimReader:
    return lambda claims: claims.get(name)


def _first(*names: str) -> ClaimReader:
    return lambda claims: next(filter(None, map(claims.get, names)), None)


def _path(*readers: ClaimReader) -> ClaimReader:
    """Return a reader that joins several names with slashes; it returns None if a name is missing."""

    def read(claims: Claims) -> str | None:
        parts = [text_of_claim(reader(claims)) for reader in readers]
        return None if None in parts else "/".join(map(str, parts))

    return read


def _within(*names: str) -> ClaimReader:
    """Return a reader of a member of nested objects."""

    def read(claims: Claims) -> Any:
        value: Any = claims
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    return read


LAYOUTS: Mapping[str, Layout] = {
    "github-actions": Layout(
        {
            "source_repository": _claim("repository"),
            "source_id": _claim("repository_id"),
            "source_ref": _claim("ref"),
            "source_commit": _claim("sha"),
            "source_workflow": _claim("workflow_ref"),
            "source_run": _claim("run_id"),
            "source_actor": _claim("actor"),
            "source_environment": _claim("environment"),
        },
        github_run,
    ),
    "gitlab": Layout(
        {
            "source_repository": _claim("project_path"),
            "source_id": _claim("project_id"),
            "source_ref": _claim("ref"),
            "source_commit": _claim("sha"),
            "source_workflow": _claim("ci_config_ref_uri"),
            "source_run": _claim("pipeline_id"),
            "source_actor": _claim("user_login"),
            "source_environment": _claim("environment"),
        },
        gitlab_pipeline,
    ),
    "bitbucket": Layout(
        {
            "source_id": _claim("repositoryUuid"),
            "source_ref": _claim("branchName"),
            "source_run": _claim("pipelineUuid"),
            "source_environment": _claim("deploymentEnvironmentUuid"),
        }
    ),
    "buildkite": Layout(
        {
            "source_id": _claim("pipeline_id"),
            "source_ref": _first("build_tag", "build_branch"),
            "source_commit": _claim("build_commit"),
            "source_workflow": _path(_claim("organization_slug"), _claim("pipeline_slug")),
            "source_run": _claim("build_number"),
        },
        buildkite_build,
    ),
    "circleci": Layout(
        {
            "source_repository": _claim(f"{_CIRCLECI}/vcs-origin"),
            "source_id": _claim(f"{_CIRCLECI}/project-id"),
            "source_ref": _claim(f"{_CIRCLECI}/vcs-ref"),
            "source_workflow": _claim(f"{_CIRCLECI}/pipeline-definition-id"),
            "source_run": _claim(f"{_CIRCLECI}/workflow-id"),
        },
        circleci_workflow,
    ),
    "hcp-terraform": Layout(
        {
            "source_id": _claim("terraform_workspace_id"),
            "source_workflow": _path(
                _claim("terraform_organization_name"),
                _claim("terraform_project_name"),
                _claim("terraform_workspace_name"),
            ),
            "source_run": _claim("terraform_run_id"),
        },
        terraform_run,
    ),
    "jenkins": Layout(
        {"source_workflow": _claim("sub"), "source_run": _claim("build_number")},
        jenkins_build,
    ),
    "kubernetes": Layout(
        {
            "source_id": _within("kubernetes.io", "serviceaccount", "uid"),
            "source_workflow": _path(
                _within("kubernetes.io", "namespace"), _within("kubernetes.io", "serviceaccount", "name")
            ),
            "source_run": _within("kubernetes.io", "pod", "name"),
        }
    ),
}
# Issuers that belong to a single provider. An issuer matches if it is equal, or continues with a slash.
KNOWN_ISSUERS = {
    "https://token.actions.githubusercontent.com": "github-actions",
    "https://gitlab.com": "gitlab",
    "https://api.bitbucket.org/2.0/workspaces": "bitbucket",
    "https://agent.buildkite.com": "buildkite",
    "https://oidc.circleci.com/org": "circleci",
    "https://app.terraform.io": "hcp-terraform",
    "https://app.eu.terraform.io": "hcp-terraform",
}


def find_layout(preset: str | None, issuer: str) -> Layout | None:
    """Return the layout of an integration's tokens: by its preset, else by a known issuer; None if neither fits."""
    name = preset or next((name for known, name in KNOWN_ISSUERS.items() if f"{issuer}/".startswith(f"{known}/")), "")
    return LAYOUTS.get(name)


def text_of_claim(value: Any) -> str | None:
    """Return a string or number as text; None for an empty string and any other value."""
    return str(value) or None if isinstance(value, str | int) and not isinstance(value, bool) else None
