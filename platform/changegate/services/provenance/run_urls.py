"""Addresses of pipeline runs, built from verified claims: only https, and only the provider's own host.

A claim becomes one percent-encoded segment of a path, so that it cannot lead to another host or page. If a segment is
missing or malformed, there is no address.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

Claims = Mapping[str, Any]
RunUrl = Callable[[str, Claims], str | None]

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?", re.IGNORECASE)
_GITHUB = "https://token.actions.githubusercontent.com"
_GITHUB_SERVER_ISSUER = re.compile(r"https://([^/]+)/_services/token")
_GITHUB_RESIDENT_ISSUER = re.compile(r"https://token\.actions\.([a-z0-9-]+)\.ghe\.com")
_JENKINS_ISSUER = re.compile(r"(.+?)(?:/job/[^/]+)*/oidc/?")


def no_url(_issuer: str, _claims: Claims) -> str | None:
    """Return None, for providers whose claims do not contain the address of a run."""
    return None


def github_run(issuer: str, claims: Claims) -> str | None:
    """Return the URL of an attempt of a workflow run."""
    repository = _segments(claims.get("repository"))
    run, attempt = _number(claims.get("run_id")), _number(claims.get("run_attempt"))
    if repository is None or len(repository) != 2:
        return None
    return _url(_github_server(issuer), *repository, "actions", "runs", run, "attempts", attempt)


def gitlab_pipeline(issuer: str, claims: Claims) -> str | None:
    """Return the URL of a pipeline; the issuer is the address of the installation, with its path if it has one."""
    project, pipeline = _segments(claims.get("project_path")), _number(claims.get("pipeline_id"))
    path = issuer.partition("://")[2].partition("/")[2].rstrip("/")
    base = _segments(path) if path else []
    if project is None or base is None:
        return None
    return _url(_server(issuer), *base, *project, "-", "pipelines", pipeline)


def buildkite_build(_issuer: str, claims: Claims) -> str | None:
    """Return the URL of a build."""
    parts = [_segment(claims.get(name)) for name in ("organization_slug", "pipeline_slug")]
    return _url("https://buildkite.com", *parts, "builds", _number(claims.get("build_number")))


def circleci_workflow(_issuer: str, claims: Claims) -> str | None:
    """Return the URL of a workflow run."""
    run = _segment(claims.get("oidc.circleci.com/workflow-id"))
    return _url("https://app.circleci.com", "pipelines", "workflows", run)


def terraform_run(issuer: str, claims: Claims) -> str | None:
    """Return the URL of a run."""
    names = ("terraform_organization_name", "terraform_workspace_name", "terraform_run_id")
    organization, workspace, run = (_segment(claims.get(name)) for name in names)
    return _url(_server(issuer), "app", organization, "workspaces", workspace, "runs", run)


def jenkins_build(issuer: str, claims: Claims) -> str | None:
    """Return the URL of a build, if the subject is the address of a job on the controller that the issuer names."""
    controller, job = _JENKINS_ISSUER.fullmatch(issuer), claims.get("sub")
    if controller is None or not isinstance(job, str) or not job.startswith(f"{controller[1]}/job/"):
        return None
    path = job.removeprefix(f"{_server(issuer)}/").rstrip("/").split("/")
    url = _url(_server(issuer), *(_segment(unquote(part)) for part in path), _number(claims.get("build_number")))
    return url and f"{url}/"


def _github_server(issuer: str) -> str | None:
    if issuer == _GITHUB or issuer.startswith(f"{_GITHUB}/"):
        return "https://github.com"
    if resident := _GITHUB_RESIDENT_ISSUER.fullmatch(issuer):
        return f"https://{resident[1]}.ghe.com"
    return _server(issuer) if _GITHUB_SERVER_ISSUER.fullmatch(issuer) else None


def _server(issuer: str) -> str | None:
    """Return scheme and host of an issuer if a link to them is safe, else None."""
    scheme, _, rest = issuer.partition("://")
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    return f"https://{host}" if scheme == "https" and _HOST.fullmatch(host) else None


def _segment(value: Any) -> str | None:
    # `.` and `..` would lead to another page, because percent-encoding leaves dots as they are.
    return value if isinstance(value, str) and value not in ("", ".", "..") else None


def _segments(value: Any) -> list[str] | None:
    """Return the segments of a path; None if any segment is empty, `.`, or `..`."""
    parts = value.split("/") if isinstance(value, str) else [""]
    return parts if all(_segment(part) for part in parts) else None


def _number(value: Any) -> str | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdecimal() else None


def _url(server: str | None, *segments: str | None) -> str | None:
    """Return the URL of a path on a server; None if the server or any segment is None."""
    if server is None or None in segments:
        return None
    return "/".join([server, *(quote(segment or "", safe="") for segment in segments)])
