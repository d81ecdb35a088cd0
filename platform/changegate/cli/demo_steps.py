"""The steps of the demo: each makes real HTTP requests and shows them with their responses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
import requests

JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RUN_AS = "release.bot"
AUDIENCE = "changegate-demo"
SUBJECT = "pipeline:shop/checkout:main"
TIMEOUT_SECONDS = 15
SHOWN = 220
# Values that are shown shortened, because terminals of demos are recorded and shared.
SECRETS = ("assertion", "access_token", "client_secret", "password", "csrf_token")

# The fields of a record to show, of about a hundred.
RECORD_FIELDS = ("number", "short_description", "type", "state", "sys_id")


class DemoFailed(Exception):
    """A step of the demo failed; the message names the step."""


@dataclass(frozen=True, slots=True, repr=False)
class DemoServers:
    """The URLs of the two servers, and the administrator's login."""

    base_url: str
    idp_url: str
    admin: str
    password: str


@dataclass(slots=True, repr=False)
class DemoRun:
    """The state of a run of the demo, and the functions that make and show requests."""

    servers: DemoServers
    browser: requests.Session = field(default_factory=requests.Session)
    step: str = ""
    client: dict[str, str] = field(default_factory=dict)
    assertion: str = ""
    token: str = ""
    changes: list[dict[str, str]] = field(default_factory=list)

    def begin(self, number: int, title: str) -> None:
        """Print the heading of a step."""
        self.step = f"step {number}, {title}"
        click.echo(f"\n{click.style(f'{number}.', fg='cyan', bold=True)} {click.style(title, bold=True)}")

    def call(self, method: str, url: str, *, expected: int, browser: bool = False, **options: Any) -> requests.Response:
        """Make a request, show it with its response, and require the expected status."""
        sent = options.get("data") or options.get("json") or {}
        click.echo(f"   {click.style('→', dim=True)} {method} {url}  {_shortened(sent)}")
        caller = self.browser if browser else requests
        response = caller.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=True, **options)
        status = click.style(response.status_code, fg="green" if response.status_code == expected else "red")
        click.echo(f"   {click.style('←', dim=True)} {status} {_shortened(_body(response))}")
        if response.status_code != expected:
            raise DemoFailed(
                f"The demo failed at {self.step}: {method} {url} answered {response.status_code}, not {expected}."
            )
        return response

    def explain(self, text: str) -> None:
        """Print a sentence about the step."""
        click.secho(f"   {text}", italic=True)

    def api(self, path: str) -> str:
        """Return the URL of a table in the Table API."""
        return f"{self.servers.base_url}/api/now/table/{path}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the access token."""
        return {"Authorization": f"Bearer {self.token}"}


def run_steps(servers: DemoServers) -> list[dict[str, str]]:
    """Run all steps and return the created changes; raises `DemoFailed` with the name of the step."""
    run = DemoRun(servers)
    click.secho("Changegate: from an identity provider's key to a change request", bold=True, underline=True)
    for number, (title, act) in enumerate(STEPS, 1):
        run.begin(number, title)
        try:
            act(run)
        except (requests.RequestException, KeyError, ValueError, AttributeError) as problem:
            raise DemoFailed(f"The demo failed at {run.step}: {type(problem).__name__}: {problem}") from None
    return run.changes


def print_links(servers: DemoServers, changes: list[dict[str, str]]) -> None:
    """Print links for the next steps of the user."""
    click.secho("\nWhere to look", bold=True, underline=True)
    click.echo(f"Console            {servers.base_url}/")
    click.echo(f"Sign in            {servers.admin} / {servers.password}")
    click.echo(f"Integrations       {servers.base_url}/inbound-integrations")
    click.echo(f"Change requests    {servers.base_url}/change-requests")
    click.echo(f"Identity provider  {servers.idp_url}/")
    click.echo(f"Changes created    {', '.join(change['number'] for change in changes)}")


def _publish(run: DemoRun) -> None:
    jwks_url = f"{run.servers.idp_url}/.well-known/jwks.json"
    keys = run.call("GET", jwks_url, expected=200).json()["keys"]
    run.explain(f"The JWKS URL is {jwks_url}; it publishes {len(keys)} keys.")


def _register(run: DemoRun) -> None:
    base = run.servers.base_url
    login = run.call("GET", f"{base}/login", expected=200, browser=True)
    form = {
        "user_name": run.servers.admin,
        "password": run.servers.password,
        "csrf_token": _csrf_token(login),
    }
    run.call("POST", f"{base}/login", expected=200, browser=True, data=form)
    url = f"{base}/inbound-integrations/new/jwt-bearer"
    page = run.call("GET", url, expected=200, browser=True)
    saved = run.call("POST", url, expected=200, browser=True, data=_integration_form(run, _csrf_token(page)))
    run.client = {
        "client_id": _field(saved, "client-id"),
        "client_secret": _field(saved, "client-secret"),
    }
    run.explain(
        f"Registered with client ID {run.client['client_id']}; no certificate was uploaded and no key was mapped."
    )


def _integration_form(run: DemoRun, csrf_token: str) -> dict[str, Any]:
    return {
        "csrf_token": csrf_token,
        "name": f"Demo identity provider {csrf_token[-6:]}",
        "provider_name": "Demo identity provider",
        "issuer": run.servers.idp_url,
        "audiences": AUDIENCE,
        "subject_rule": "run_as",
        "run_as": RUN_AS,
        "jwks_url": f"{run.servers.idp_url}/.well-known/jwks.json",
        "algorithms": ["RS256", "ES256"],
        "enable_jti_verification": "true",
        "scope_restriction": "true",
        "active": "true",
    }


def _sign(run: DemoRun) -> None:
    order = {"sub": SUBJECT, "aud": AUDIENCE, "alg": "RS256"}
    signed = run.call("POST", f"{run.servers.idp_url}/sign", expected=200, json=order).json()
    run.assertion = signed["assertion"]
    run.explain(f"The identity provider signed an assertion for {SUBJECT}.")


def _exchange(run: DemoRun) -> None:
    run.token = _token_request(run, expected=200).json()["access_token"]
    run.explain("The access token may create change requests and do nothing else.")


def _token_request(run: DemoRun, expected: int) -> requests.Response:
    form = {"grant_type": JWT_BEARER_GRANT, "assertion": run.assertion, **run.client}
    return run.call("POST", f"{run.servers.base_url}/oauth_token.do", expected=expected, data=form)


def _create_change(run: DemoRun) -> None:
    fields = {
        "short_description": f"Deploy checkout, build {len(run.changes) + 1}",
        "type": "standard",
        "category": "Software",
    }
    response = run.call("POST", run.api("change_request"), expected=201, json=fields, headers=run.bearer)
    change = response.json()["result"]
    run.changes.append({"number": change["number"], "sys_id": change["sys_id"]})
    run.explain(f"{change['number']} exists.")


def _try_what_is_forbidden(run: DemoRun) -> None:
    _token_request(run, expected=401)
    run.explain("An assertion can be exchanged only once: the second exchange is refused.")
    run.call("GET", run.api("sys_user"), expected=403, headers=run.bearer)
    run.call(
        "DELETE",
        run.api(f"change_request/{run.changes[0]['sys_id']}"),
        expected=403,
        headers=run.bearer,
    )
    run.explain("The token's scope covers neither reading users nor deleting changes.")


def _rotate(run: DemoRun) -> None:
    run.call("POST", f"{run.servers.idp_url}/behaviors/rotate", expected=200)
    _sign(run)
    _exchange(run)
    _create_change(run)
    run.explain("Changegate automatically fetched and trusted a key that it had never seen.")


def _disable(run: DemoRun) -> None:
    url = f"{run.servers.base_url}/inbound-integrations/{run.client['client_id']}"
    page = run.call("GET", url, expected=200, browser=True)
    form = {"csrf_token": _csrf_token(page), "version": _input(page, "version")}
    run.call("POST", f"{url}/disable", expected=200, browser=True, data=form)
    fields = {"short_description": "One too many"}
    run.call("POST", run.api("change_request"), expected=401, json=fields, headers=run.bearer)
    run.explain("The token had not expired, but it stopped working immediately.")


STEPS: tuple[tuple[str, Callable[[DemoRun], None]], ...] = (
    ("The identity provider publishes its key set", _publish),
    ("An administrator registers an integration, OAuth - JWT bearer grant, with that URL", _register),
    ("The identity provider signs a JWT for the automation", _sign),
    ("The automation exchanges it for an access token", _exchange),
    ("With the token it creates a change request", _create_change),
    ("What the token does not allow", _try_what_is_forbidden),
    ("The identity provider rotates its key, with overlap", _rotate),
    ("The integration is disabled", _disable),
)


def _csrf_token(page: requests.Response) -> str:
    return _input(page, "csrf_token")


def _input(page: requests.Response, name: str) -> str:
    return _match(rf'name="{name}"[^>]*value="([^"]+)"', page)


def _field(page: requests.Response, name: str) -> str:
    return _match(rf'id="{name}"[^>]*>\s*([^<\s]+)', page)


def _match(pattern: str, page: requests.Response) -> str:
    found = re.search(pattern, page.text)
    if found is None:
        raise ValueError("the page does not have the expected content")
    return found[1]


def _body(response: requests.Response) -> Any:
    if "json" in response.headers.get("Content-Type", ""):
        body = response.json()
        record = body.get("result")
        return {name: record[name] for name in RECORD_FIELDS} if isinstance(record, dict) else body
    title = re.search(r"<title>\s*(.*?)\s*</title>", response.text, re.DOTALL)
    return f"page “{title[1]}”" if title else ""


def _shortened(value: Any) -> str:
    if isinstance(value, dict):
        parts = (f"{name}={_hidden(name, text)}" for name, text in value.items() if text not in ("", None))
        text = " ".join(parts)
    else:
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _hidden(name: str, value: Any) -> str:
    if name == "keys":
        return ", ".join(f"{key['kty']} {key['kid'][:12]}…" for key in value)
    text = str(value)
    return f"{text[:12]}…" if name in SECRETS and len(text) > 12 else text
