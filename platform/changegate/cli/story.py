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


class StoryFailed(Exception):
    """A step of the demo failed; the message names the step."""


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """The URLs of the two servers, and the administrator's login."""

    base_url: str
    idp_url: str
    admin: str
    password: str


@dataclass(slots=True, repr=False)
class Teller:
    """The state of a run of the demo, and the functions that make and show requests."""

    place: Place
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
        answer = caller.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=True, **options)
        status = click.style(answer.status_code, fg="green" if answer.status_code == expected else "red")
        click.echo(f"   {click.style('←', dim=True)} {status} {_shortened(_body(answer))}")
        if answer.status_code != expected:
            raise StoryFailed(
                f"The demo failed at {self.step}: {method} {url} answered {answer.status_code}, not {expected}."
            )
        return answer

    def say(self, text: str) -> None:
        """Print a sentence about the step."""
        click.secho(f"   {text}", italic=True)

    def api(self, path: str) -> str:
        """Return the URL of a table in the Table API."""
        return f"{self.place.base_url}/api/now/table/{path}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the access token."""
        return {"Authorization": f"Bearer {self.token}"}


def tell_story(place: Place) -> list[dict[str, str]]:
    """Run all steps and return the created changes; raises `StoryFailed` with the name of the step."""
    teller = Teller(place)
    click.secho("Changegate: from an identity provider's key to a change request", bold=True, underline=True)
    for number, (title, act) in enumerate(STEPS, 1):
        teller.begin(number, title)
        try:
            act(teller)
        except (requests.RequestException, KeyError, ValueError, AttributeError) as problem:
            raise StoryFailed(f"The demo failed at {teller.step}: {type(problem).__name__}: {problem}") from None
    return teller.changes


def closing_words(place: Place, changes: list[dict[str, str]]) -> None:
    """Print links for the next steps of the user."""
    click.secho("\nWhere to look", bold=True, underline=True)
    click.echo(f"Console            {place.base_url}/")
    click.echo(f"Sign in            {place.admin} / {place.password}")
    click.echo(f"Integrations       {place.base_url}/inbound-integrations")
    click.echo(f"Change requests    {place.base_url}/change-requests")
    click.echo(f"Identity provider  {place.idp_url}/")
    click.echo(f"Changes created    {', '.join(change['number'] for change in changes)}")


def _publish(teller: Teller) -> None:
    jwks_url = f"{teller.place.idp_url}/.well-known/jwks.json"
    keys = teller.call("GET", jwks_url, expected=200).json()["keys"]
    teller.say(f"The JWKS URL is {jwks_url}; it publishes {len(keys)} keys.")


def _register(teller: Teller) -> None:
    base = teller.place.base_url
    login = teller.call("GET", f"{base}/login", expected=200, browser=True)
    form = {
        "user_name": teller.place.admin,
        "password": teller.place.password,
        "csrf_token": _csrf_token(login),
    }
    teller.call("POST", f"{base}/login", expected=200, browser=True, data=form)
    url = f"{base}/inbound-integrations/new/jwt-bearer"
    page = teller.call("GET", url, expected=200, browser=True)
    saved = teller.call("POST", url, expected=200, browser=True, data=_integration_form(teller, _csrf_token(page)))
    teller.client = {
        "client_id": _field(saved, "client-id"),
        "client_secret": _field(saved, "client-secret"),
    }
    teller.say(
        f"Registered with client ID {teller.client['client_id']}; no certificate was uploaded and no key was mapped."
    )


def _integration_form(teller: Teller, csrf_token: str) -> dict[str, Any]:
    return {
        "csrf_token": csrf_token,
        "name": f"Demo identity provider {csrf_token[-6:]}",
        "provider_name": "Demo identity provider",
        "issuer": teller.place.idp_url,
        "audiences": AUDIENCE,
        "subject_rule": "run_as",
        "run_as": RUN_AS,
        "jwks_url": f"{teller.place.idp_url}/.well-known/jwks.json",
        "algorithms": ["RS256", "ES256"],
        "enable_jti_verification": "true",
        "scope_restriction": "true",
        "active": "true",
    }


def _sign(teller: Teller) -> None:
    order = {"sub": SUBJECT, "aud": AUDIENCE, "alg": "RS256"}
    signed = teller.call("POST", f"{teller.place.idp_url}/sign", expected=200, json=order).json()
    teller.assertion = signed["assertion"]
    teller.say(f"The identity provider signed an assertion for {SUBJECT}.")


def _exchange(teller: Teller) -> None:
    teller.token = _token_request(teller, expected=200).json()["access_token"]
    teller.say("The access token may create change requests and do nothing else.")


def _token_request(teller: Teller, expected: int) -> requests.Response:
    form = {"grant_type": JWT_BEARER_GRANT, "assertion": teller.assertion, **teller.client}
    return teller.call("POST", f"{teller.place.base_url}/oauth_token.do", expected=expected, data=form)


def _create_change(teller: Teller) -> None:
    fields = {
        "short_description": f"Deploy checkout, build {len(teller.changes) + 1}",
        "type": "standard",
        "category": "Software",
    }
    answer = teller.call("POST", teller.api("change_request"), expected=201, json=fields, headers=teller.bearer)
    change = answer.json()["result"]
    teller.changes.append({"number": change["number"], "sys_id": change["sys_id"]})
    teller.say(f"{change['number']} exists.")


def _try_what_is_forbidden(teller: Teller) -> None:
    _token_request(teller, expected=401)
    teller.say("An assertion can be exchanged only once: the second exchange is refused.")
    teller.call("GET", teller.api("sys_user"), expected=403, headers=teller.bearer)
    teller.call(
        "DELETE",
        teller.api(f"change_request/{teller.changes[0]['sys_id']}"),
        expected=403,
        headers=teller.bearer,
    )
    teller.say("The token's scope covers neither reading users nor deleting changes.")


def _rotate(teller: Teller) -> None:
    teller.call("POST", f"{teller.place.idp_url}/behaviors/rotate", expected=200)
    _sign(teller)
    _exchange(teller)
    _create_change(teller)
    teller.say("Changegate automatically fetched and trusted a key that it had never seen.")


def _disable(teller: Teller) -> None:
    url = f"{teller.place.base_url}/inbound-integrations/{teller.client['client_id']}"
    page = teller.call("GET", url, expected=200, browser=True)
    form = {"csrf_token": _csrf_token(page), "version": _input(page, "version")}
    teller.call("POST", f"{url}/disable", expected=200, browser=True, data=form)
    fields = {"short_description": "One too many"}
    teller.call("POST", teller.api("change_request"), expected=401, json=fields, headers=teller.bearer)
    teller.say("The token had not expired, but it stopped working immediately.")


STEPS: tuple[tuple[str, Callable[[Teller], None]], ...] = (
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


def _body(answer: requests.Response) -> Any:
    if "json" in answer.headers.get("Content-Type", ""):
        body = answer.json()
        record = body.get("result")
        return {name: record[name] for name in RECORD_FIELDS} if isinstance(record, dict) else body
    title = re.search(r"<title>\s*(.*?)\s*</title>", answer.text, re.DOTALL)
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
