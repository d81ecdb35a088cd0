"""The product under test: a temporary instance, set up through its own commands and its own API."""

import json
import secrets
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import requests

from benchmarks.errors import BenchFailed
from benchmarks.servers import ROOT, environment, script
from benchmarks.signing import AUDIENCE, ISSUER

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_PATH = "/oauth_token.do"
INTROSPECTION_PATH = "/oauth/introspect"
INTEGRATIONS_PATH = "/api/now/oauth/integrations"
CHANGE_PATH = "/api/now/table/change_request"
USER = "bench.user"
ADMIN_PASSWORD = "CHANGEGATE_ADMIN_PASSWORD"
# The longest that an integration allows: no token may expire before the last run.
TOKEN_LIFESPAN_SECONDS = 86_400


@dataclass(frozen=True)
class Instance:
    """One instance folder with a user of role itil and an integration that runs as that user."""

    env: Mapping[str, str]
    password: str
    client_id: str
    client_secret: str

    def token_form(self, assertion: str) -> str:
        """Return the form that exchanges an assertion."""
        return urlencode({"grant_type": GRANT_TYPE, **self._credentials(), "assertion": assertion})

    def introspection_form(self, token: str) -> str:
        """Return the form that introspects a token."""
        return urlencode({**self._credentials(), "token": token})

    def _credentials(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.client_secret}

    def basic(self) -> str:
        """Return the user's Authorization header."""
        return "Basic " + b64encode(f"{USER}:{self.password}".encode()).decode()

    def register(self, name: str, jwks_url: str, *options: str) -> "Instance":
        """Register another integration with the same user; return the instance with its credentials."""
        named = ["--name", name, "--provider-name", "Bench", "--issuer", ISSUER, "--audience", AUDIENCE]
        where = ["--jwks-url", jwks_url, "--run-as", USER, "--no-public", "--json"]
        made = json.loads(_command(self.env, "integration", "create", *named, *where, *options))
        return replace(self, client_id=made["client_id"], client_secret=made["client_secret"])

    def enroll(self, base_url: str, name: str, jwks_url: str, **fields: object) -> "Instance":
        """Register another integration over HTTP, with the longest token lifespan. Raises `BenchFailed`."""
        usual = {"name": name, "provider_name": "Bench", "issuer": ISSUER, "audiences": [AUDIENCE], "run_as": USER}
        where = {"jwks_url": jwks_url, "access_token_lifespan_seconds": TOKEN_LIFESPAN_SECONDS, "public_client": False}
        admin = ("admin", self.env[ADMIN_PASSWORD])
        answer = requests.post(base_url + INTEGRATIONS_PATH, json={**usual, **where, **fields}, auth=admin, timeout=30)
        made = _require_answer(answer, 201)["result"]
        return replace(self, client_id=str(made["client_id"]), client_secret=str(made["client_secret"]))


def set_up(folder: Path, database_url: str, jwks_url: str) -> Instance:
    """Create an instance with one integration on an empty database by the product's commands. Raises `BenchFailed`."""
    password = secrets.token_urlsafe(16)
    env = environment(
        {
            "CHANGEGATE_INSTANCE_PATH": str(folder),
            "CHANGEGATE_DATABASE_URL": database_url,
            ADMIN_PASSWORD: secrets.token_urlsafe(16),
            "CHANGEGATE_JWKS_ALLOW_LOOPBACK": "1",
        }
    )
    _command(env, "prepare")
    _command(env, "user", "create", USER, "--password", password, "--role", "itil")
    return Instance(env, password, "", "").register("Bench", jwks_url)


def change_body(number: int) -> str:
    """Return the JSON of a typical change, different for each number."""
    return json.dumps(
        {
            "short_description": f"Roll out build {number}",
            "description": f"Pipeline {number} deploys to production after its tests passed.",
            "type": "normal",
            "implementation_plan": "Deploy one node after the other.",
            "backout_plan": "Deploy the build before.",
            "correlation_id": f"build-{number}",
        }
    )


def list_path(query: str, limit: int, **parameters: str) -> str:
    """Return the path of a page of changes; the names of `parameters` have no prefix."""
    named = {"query": query, "limit": str(limit), **parameters}
    return f"{CHANGE_PATH}?{urlencode({f'sysparm_{name}': value for name, value in named.items()})}"


def bearer(token: str) -> tuple[str, str]:
    """Return the Authorization header of a token."""
    return ("Authorization", f"Bearer {token}")


def get_token(base_url: str, instance: Instance, assertion: str) -> str:
    """Exchange an assertion for an access token."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(base_url + TOKEN_PATH, data=instance.token_form(assertion), headers=headers, timeout=30)
    return str(_require_answer(answer, 200)["access_token"])


def _command(env: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [script("changegate"), *arguments],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise BenchFailed(f"`changegate {arguments[0]}` ended with status {done.returncode}: {said}")
    return done.stdout


def _require_answer(answer: requests.Response, status: int) -> dict[str, dict[str, object]]:
    if answer.status_code != status:
        raise BenchFailed(f"{answer.url} answered {answer.status_code}, not {status}: {answer.text[:300]}")
    body: dict[str, dict[str, object]] = answer.json()
    return body
