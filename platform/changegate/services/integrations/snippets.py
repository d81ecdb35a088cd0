"""Snippets for pipelines and shells, by connection type, with all values filled in except secrets."""

import json
import shlex
from dataclasses import dataclass
from textwrap import indent

from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import ID_TOKEN, JWT_BEARER, PASSWORD
from changegate.services.integrations.assertion_sources import ASSERTION_SOURCES, AssertionSource
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT

VARIABLE = "CLIENT_SECRET"
GITHUB, GITLAB, JENKINS = "github-actions", "gitlab", "jenkins"
# The script prints a refusal, because it contains the correlation id of the event that explains it.
EXCHANGE = f"""\
answer=$(curl -sS --fail-with-body "$DESK/oauth_token.do" \\
  --data-urlencode grant_type={JWT_BEARER_GRANT} \\
  --data-urlencode "assertion=$assertion" \\
  --data-urlencode "client_id=$CLIENT_ID"SECRET) || {{ echo "$answer" >&2; exit 1; }}
token=$(printf %s "$answer" | jq -r .access_token)
"""
REQUEST = """\
answer=$(curl -sS --fail-with-body "$DESK/oauth_token.do" \\
  --data-urlencode grant_type=GRANT \\
  --data-urlencode "client_id=$CLIENT_ID" \\
  --data-urlencode "client_secret=$CLIENT_SECRET"MORE) || { echo "$answer" >&2; exit 1; }
token=$(printf %s "$answer" | jq -r .access_token)
"""
WHO = """ \\
  --data-urlencode "username=$DESK_USER" \\
  --data-urlencode "password=$DESK_PASSWORD\""""
REFRESH_LINES = """\
# Later, in place of name and password:
refresh=$(printf %s "$answer" | jq -r .refresh_token)
"""
NO_EXCHANGE = "token=$assertion\n"
CREATE_CHANGE = """\
curl -sS --fail-with-body "$DESK/api/now/table/change_request" -H "Authorization: Bearer $token" \\
  --json '{"short_description": "Deploy release 42"}'
"""


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

    @property
    def needs_secret(self) -> bool:
        """Return whether the client needs a secret."""
        return not self.is_public and self.connection_type != ID_TOKEN


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy, the file that it belongs to, and the necessary setup."""

    name: str
    label: str
    file: str
    before: str
    text: str


def list_snippets(target: SnippetContext) -> list[Snippet]:
    """Return the snippets for an integration: its own provider's first, curl last."""
    if not TYPES[target.connection_type].has_provider:
        return [_curl_of_secret(target)]
    snippets = [make(target) for make in (_github_actions, _gitlab_ci, _jenkins)]
    own = ASSERTION_SOURCES.get(target.preset or "")
    if own is not None:
        snippets.append(_own(target, target.preset or "", own))
    snippets.sort(key=lambda snippet: snippet.name != target.preset)
    return [*snippets, _curl(target)]


def _exchange(target: SnippetContext) -> str:
    if target.connection_type == ID_TOKEN:
        return NO_EXCHANGE
    secret = f' \\\n  --data-urlencode "client_secret=${VARIABLE}"' if target.needs_secret else ""
    return EXCHANGE.replace("SECRET", secret, 1)


def _variables(target: SnippetContext) -> dict[str, str]:
    known = {"DESK": target.base_url, "CLIENT_ID": target.client_id}
    return {"DESK": target.base_url} if target.connection_type == ID_TOKEN else known


def _yaml_variables(target: SnippetContext) -> str:
    # What JSON quotes is quoted in YAML too.
    return "".join(f"{name}: {json.dumps(text)}\n" for name, text in _variables(target).items())


def _shell_variables(target: SnippetContext) -> str:
    return "".join(f"{name}={shlex.quote(text)}\n" for name, text in _variables(target).items())


def _before(target: SnippetContext, *sentences: str) -> str:
    """Return the necessary setup; the last sentence is about the secret, and left out for a public client."""
    return " ".join(sentences if target.needs_secret else sentences[:-1])


def _github_actions(target: SnippetContext) -> Snippet:
    secret = f"{VARIABLE}: ${{{{ secrets.{VARIABLE} }}}}\n" if target.needs_secret else ""
    ask = (
        'assertion=$(curl -sS --fail-with-body --get "$ACTIONS_ID_TOKEN_REQUEST_URL" \\\n'
        f"  --data-urlencode {shlex.quote('audience=' + target.audience)} \\\n"
        '  -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" | jq -r .value)\n'
    )
    script = ask + _exchange(target) + 'echo "::add-mask::$token"\n' + CREATE_CHANGE
    text = (
        "jobs:\n  deploy:\n    runs-on: ubuntu-latest\n    permissions:\n      id-token: write\n    steps:\n"
        "      - name: Create the change request\n        env:\n"
        f"{indent(_yaml_variables(target) + secret, ' ' * 10)}        run: |\n{indent(script, ' ' * 10)}"
    )
    before = _before(target, f"Store the client secret as the secret {VARIABLE} of the repository or environment.")
    return Snippet(GITHUB, "GitHub Actions", ".github/workflows/deploy.yml", before, text)


def _gitlab_ci(target: SnippetContext) -> Snippet:
    text = (
        f"create-change:\n  timeout: 30 minutes\n  variables:\n{indent(_yaml_variables(target), ' ' * 4)}"
        f"  id_tokens:\n    assertion:\n      aud: {json.dumps(target.audience)}\n"
        f"  script:\n    - |\n{indent(_exchange(target) + CREATE_CHANGE, ' ' * 6)}"
    )
    before = _before(target, f"Store the client secret as the CI/CD variable {VARIABLE}, masked and protected.")
    return Snippet(GITLAB, "GitLab CI", ".gitlab-ci.yml", before, text)


def _jenkins(target: SnippetContext) -> Snippet:
    credentials = ["string(credentialsId: 'changegate', variable: 'assertion')"]
    if target.needs_secret:
        credentials.append(f"string(credentialsId: 'changegate-secret', variable: '{VARIABLE}')")
    listed = ", ".join(credentials)
    script = indent("set +x\n" + _shell_variables(target) + _exchange(target) + CREATE_CHANGE, " " * 12)
    text = (
        "pipeline {\n  agent any\n  stages {\n    stage('Create the change request') {\n      steps {\n"
        f"        withCredentials([{listed}]) {{\n"
        f"          sh '''\n{script}          '''\n        }}\n      }}\n    }}\n  }}\n}}\n"
    )
    before = _before(
        target,
        f"Add a credential OpenID Connect id token with the ID changegate and the audience {target.audience}.",
        "Store the client secret as the secret text changegate-secret.",
    )
    return Snippet(JENKINS, "Jenkins", "Jenkinsfile", before, text)


def _curl(target: SnippetContext) -> Snippet:
    holds = f"assertion holds a JWT from the provider with the audience {target.audience}."
    before = _before(target, holds, f"{VARIABLE} holds the client secret.")
    return Snippet("curl", "curl", "in a shell", before, _shell_variables(target) + _exchange(target) + CREATE_CHANGE)


def _curl_of_secret(target: SnippetContext) -> Snippet:
    """Return the snippet for clients with a secret and without an assertion (RFC 6749 §4.3, §4.4, §6)."""
    if target.connection_type == PASSWORD:
        before = f"{VARIABLE} holds the client secret, DESK_USER and DESK_PASSWORD are those of the user who signs in."
        request, more = _request("password", WHO), _refresh() if target.gives_refresh_tokens else ""
    else:
        before = f"{VARIABLE} holds the client secret, from where the pipeline keeps secrets."
        request, more = _request("client_credentials", ""), ""
    return Snippet("curl", "curl", "in a shell", before, _shell_variables(target) + request + CREATE_CHANGE + more)


def _request(grant: str, more: str) -> str:
    return REQUEST.replace("GRANT", grant, 1).replace("MORE", more, 1)


def _refresh() -> str:
    return REFRESH_LINES + _request("refresh_token", ' \\\n  --data-urlencode "refresh_token=$refresh"')


def _own(target: SnippetContext, name: str, source: AssertionSource) -> Snippet:
    values = {
        "audience": shlex.quote(target.audience),
        "listed": json.dumps(target.audience),
        "claims": shlex.quote(json.dumps({"aud": target.audience})),
        "issuer": shlex.quote(target.issuer.removesuffix("/")),
    }
    command = source.command.format_map(values)
    script = _shell_variables(target) + command + _exchange(target) + CREATE_CHANGE
    if source.escapes_dollars:
        script = script.replace("$", "$$")
    text = source.layout.format_map(values) + indent(script, " " * source.spaces)
    kept = f"{VARIABLE} holds the client secret, from where the provider keeps secrets."
    return Snippet(name, source.label, source.file, _before(target, *filter(None, [source.before]), kept), text)
