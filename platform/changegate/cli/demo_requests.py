"""A run of the demo: the two servers, and the functions that make requests and show them with their responses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import requests

TIMEOUT_SECONDS = 15
SHOWN = 220
# Values that are shown shortened, because terminals of demos are recorded and shared.
SECRETS = ("assertion", "access_token")
# The fields of a record to show, of about a hundred.
RECORD_FIELDS = ("number", "short_description", "type", "state", "sys_id", "name", "client_id", "active")


class DemoFailed(Exception):
    """A step of the demo failed; the message names the step."""


@dataclass(frozen=True, slots=True, repr=False)
class DemoServers:
    """The two servers, the administrator's login, and the instance; `ca` is the CA of Changegate's certificate."""

    base_url: str
    idp_url: str
    admin: str
    password: str
    folder: Path
    ca: Path | None = None
    cooldown_seconds: int = 30

    @property
    def verify(self) -> str | bool:
        """Return how to verify certificates, in the form that requests expects."""
        return str(self.ca) if self.ca else True


@dataclass(slots=True, repr=False)
class DemoRun:
    """The state of a run of the demo, and the functions that make and show requests."""

    servers: DemoServers
    step: str = ""
    clients: dict[str, str] = field(default_factory=dict)
    assertion: str = ""
    token: str = ""
    changes: list[dict[str, str]] = field(default_factory=list)

    def begin(self, number: int, title: str) -> None:
        """Print the heading of a step."""
        self.step = f"step {number}, {title}"
        click.echo(f"\n{click.style(f'{number}.', fg='cyan', bold=True)} {click.style(title, bold=True)}")

    def call(self, method: str, url: str, *, expected: int, **options: Any) -> requests.Response:
        """Make a request, show it with its response, and require the expected status."""
        sent = options.get("data") or options.get("json") or {}
        click.echo(f"   {click.style('→', dim=True)} {method} {url}  {_shortened(sent)}")
        response = requests.request(method, url, timeout=TIMEOUT_SECONDS, verify=self.servers.verify, **options)
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

    def administer(self, method: str, path: str, *, expected: int, **options: Any) -> Any:
        """Call the admin API for integrations as the administrator, and return the result."""
        url = f"{self.servers.base_url}/api/now/oauth/integrations{path}"
        login = (self.servers.admin, self.servers.password)
        return self.call(method, url, expected=expected, auth=login, **options).json()["result"]

    def work(self, user_name: str, method: str, path: str = "", *, expected: int = 200, **options: Any) -> Any:
        """Call the Change Management API for the first change as a person, and return the result."""
        self.explain(f"As {user_name}:")
        url = f"{self.servers.base_url}/api/sn_chg_rest/change/{self.changes[0]['sys_id']}{path}"
        return self.call(method, url, expected=expected, auth=(user_name, self.servers.password), **options).json()

    def page_of(self, name: str) -> str:
        """Return the URL of an integration in the console."""
        return f"{self.servers.base_url}/inbound-integrations/{self.clients[name]}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the access token."""
        return {"Authorization": f"Bearer {self.token}"}


def _body(response: requests.Response) -> Any:
    if "json" in response.headers.get("Content-Type", ""):
        body = response.json()
        record = body.get("result")
        if isinstance(record, list):
            return {"records": len(record)}
        return {name: _shown(record[name]) for name in RECORD_FIELDS if name in record} if record else body
    return ""


def _shown(value: Any) -> Any:
    """Return the display value of a field of the Change Management API, and other values as they are."""
    return value["display_value"] if isinstance(value, dict) else value


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
