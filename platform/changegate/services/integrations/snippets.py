"""Snippets for pipelines and programs, with all values of an integration filled in except secrets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import CLIENT_CREDENTIALS, ID_TOKEN, JWT_BEARER, PASSWORD
from changegate.printable import printable
from changegate.services.integrations.snippet_layouts import ALSO_FITTING, PIPELINES, SNIPPET_LAYOUTS, SnippetLayout
from changegate.services.integrations.snippet_quoting import PLAIN, make_environment
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT

_ENVIRONMENT = make_environment()
_AZURE_PIPELINES = "https://vstoken.dev.azure.com/"
# Conditions on these claims are those on what a subject contains.
_SUBJECTS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"repo:[^:]+:environment:(?P<environment>.+)",
        r"repo:[^:]+:ref:(?P<ref>.+)",
        r"project_path:[^:]+:ref_type:(?P<ref_type>[^:]+):ref:(?P<ref>.+)",
        r"system:serviceaccount:(?P<namespace>[^:]+):(?P<service_account>.+)",
        r"sc://[^/]+/[^/]+/(?P<service_connection_name>.+)",
        r"/eid1/.*/sc/[^/]+/(?P<service_connection>[^/]+)",
    )
)
_NAMES = {
    "/kubernetes.io/namespace": "namespace",
    "/kubernetes.io/serviceaccount/name": "service_account",
    "oidc.circleci.com/vcs-ref": "ref",
    "rpo_ref": "ref",
}


@dataclass(frozen=True, slots=True)
class SnippetContext:
    """The properties of an integration that a snippet needs, never its secret; `preset` names its identity provider."""

    client_id: str
    is_public: bool
    audience: str
    issuer: str
    base_url: str
    preset: str | None = None
    connection_type: str = JWT_BEARER
    gives_refresh_tokens: bool = False
    claim_conditions: Sequence[Mapping[str, Any]] = ()

    @property
    def needs_secret(self) -> bool:
        """Return whether the client needs a secret."""
        return not self.is_public and self.connection_type != ID_TOKEN

    @property
    def provider(self) -> str | None:
        """Return the layout of the identity provider, or None."""
        is_azure_pipelines = self.issuer.startswith(_AZURE_PIPELINES)
        return "azure-pipelines" if is_azure_pipelines and not self.preset else self.preset


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy, the file that it belongs to, and the necessary setup; `fits` the provider of the integration."""

    name: str
    label: str
    file: str
    setup: str
    text: str
    fits: bool


@dataclass(frozen=True, slots=True)
class RequestParameter:
    """A parameter of the token request: a text, or an environment variable; a shell has both in a variable."""

    name: str
    text: str = ""
    variable: str = ""


def list_snippets(target: SnippetContext) -> list[Snippet]:
    """Return the snippets of an integration, its own provider's first; those that do not fit are last."""
    # Nothing with a line break can be stored; one in a template would end a string or a comment.
    target = replace(
        target,
        client_id=printable(target.client_id),
        audience=printable(target.audience),
        issuer=printable(target.issuer),
        base_url=printable(target.base_url),
    )
    clients = [name for name, layout in SNIPPET_LAYOUTS.items() if layout.is_client]
    if not TYPES[target.connection_type].has_provider:
        return [_render(target, SNIPPET_LAYOUTS[name], fits=True) for name in clients]
    provider = target.provider or ""
    own = [name for name in (provider, *ALSO_FITTING.get(provider, ())) if name in SNIPPET_LAYOUTS]
    others = [name for name in PIPELINES if name not in own]
    fitting = [_render(target, SNIPPET_LAYOUTS[name], fits=True) for name in (*own, *clients)]
    return [*fitting, *(_render(target, SNIPPET_LAYOUTS[name], fits=False) for name in others)]


def _render(target: SnippetContext, layout: SnippetLayout, *, fits: bool) -> Snippet:
    text = _ENVIRONMENT.get_template(layout.template).render(_values(target, layout))
    return Snippet(layout.name, layout.label, layout.file, " ".join(_setup(target, layout)), text, fits)


def _setup(target: SnippetContext, layout: SnippetLayout) -> Iterator[str]:
    if layout.setup and TYPES[target.connection_type].has_provider:
        yield layout.setup
    if target.connection_type == PASSWORD:
        yield "USER_NAME and USER_PASSWORD are those of the user."
    if target.needs_secret:
        yield layout.storage


def _values(target: SnippetContext, layout: SnippetLayout) -> dict[str, Any]:
    return {
        "audience": target.audience,
        "base_url": target.base_url,
        "client_id": target.client_id,
        "issuer": target.issuer.removesuffix("/"),
        "grant": list(_parameters(target)),
        "exchanges": target.connection_type != ID_TOKEN,
        "needs_secret": target.needs_secret,
        "refresh_grant": list(_refresh_parameters(target)),
        "needs": _needs(target.claim_conditions),
        "run": layout.run,
        "source": layout.source and f"sources/{layout.source}",
    }


def _parameters(target: SnippetContext) -> Iterator[RequestParameter]:
    """Yield the parameters of the token request (RFC 7523 §2.1, RFC 6749 §4.3, §4.4)."""
    own_grants = {CLIENT_CREDENTIALS: "client_credentials", PASSWORD: "password"}
    yield RequestParameter("grant_type", own_grants.get(target.connection_type, JWT_BEARER_GRANT))
    if target.connection_type == PASSWORD:
        yield RequestParameter("username", variable="USER_NAME")
        yield RequestParameter("password", variable="USER_PASSWORD")
    if target.connection_type not in own_grants:
        yield RequestParameter("assertion", variable="ASSERTION")
    yield RequestParameter("client_id", target.client_id, "CLIENT_ID")
    if target.needs_secret:
        yield RequestParameter("client_secret", variable="CLIENT_SECRET")


def _refresh_parameters(target: SnippetContext) -> Iterator[RequestParameter]:
    """Yield the parameters of a refresh (RFC 6749 §6), or none."""
    if target.connection_type == PASSWORD and target.gives_refresh_tokens:
        yield RequestParameter("grant_type", "refresh_token")
        yield RequestParameter("client_id", target.client_id, "CLIENT_ID")
        yield RequestParameter("client_secret", variable="CLIENT_SECRET")
        yield RequestParameter("refresh_token", variable="refresh_token")


def _needs(conditions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the values that conditions allow, by claim or by the part of a subject; only those that need no quotes.

    A pattern without a wildcard is a value. Other conditions are left to the page, which lists all of them.
    """
    needs: dict[str, list[str]] = {}
    for condition in conditions:
        values = _allowed(condition)
        if not values or not all(isinstance(value, str) and PLAIN.fullmatch(value) for value in values):
            continue
        needs[_NAMES.get(condition["claim"], condition["claim"])] = values
        subject = next(filter(None, (pattern.fullmatch(values[0]) for pattern in _SUBJECTS)), None)
        if condition["claim"] == "sub" and len(values) == 1 and subject:
            needs |= {name: [value] for name, value in subject.groupdict().items()}
    return needs


def _allowed(condition: Mapping[str, Any]) -> list[Any]:
    operator, value = condition["operator"], condition["value"]
    if operator == "one_of":
        return list(value)
    is_value = operator == "equals" or (operator == "glob" and "*" not in value)
    return [value] if is_value else []
