"""Identity providers that others wrote, each in a process of its own, and a pipeline that gets its tokens there."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.identity_providers.environments import program_from_npm, program_from_pypi
from tests.support.live_desk import AUDIENCE
from tests.support.servers import free_port, serving

PIPELINE = "pipeline"
SECRET = "secret-of-the-pipeline"
TIMEOUT_SECONDS = 60
DISCOVERY = "/.well-known/openid-configuration"
# Nothing listens there: the code is read from where the browser would be sent.
CALLBACK = "http://127.0.0.1:9/callback"


@dataclass(frozen=True)
class Provider:
    """A provider at work: its issuer, which is its address, and what it says about itself."""

    issuer: str
    metadata: Mapping[str, Any]

    @classmethod
    def at(cls, issuer: str) -> "Provider":
        """Read what a provider publishes."""
        return cls(issuer, requests.get(issuer + DISCOVERY, timeout=TIMEOUT_SECONDS).json())

    @property
    def jwks_url(self) -> str:
        """Where its keys are."""
        return str(self.metadata["jwks_uri"])

    def kids(self) -> list[str]:
        """Return the kids it publishes at this moment, in its order."""
        keys = requests.get(self.jwks_url, timeout=TIMEOUT_SECONDS).json()["keys"]
        return [key["kid"] for key in keys]

    def tell(self, path: str) -> None:
        """Post a command that has no body."""
        requests.post(self.issuer + path, timeout=TIMEOUT_SECONDS).raise_for_status()

    def client_credentials(self, client_id: str = PIPELINE, **wishes: str) -> str:
        """Return an access token for a client itself (RFC 6749 §4.4)."""
        return str(self._ask_for_tokens(client_id, grant_type="client_credentials", **wishes)["access_token"])

    def sign_in(self, subject: str, client_id: str) -> str:
        """Return the ID token of a person who signs in at a client (OpenID Connect Core 1.0 §3.1)."""
        asked = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "scope": "openid"}
        answer = requests.post(
            str(self.metadata["authorization_endpoint"]),
            params=asked,
            data={"sub": subject},
            allow_redirects=False,
            timeout=TIMEOUT_SECONDS,
        )
        (code,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
        tokens = self._ask_for_tokens(client_id, grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
        return str(tokens["id_token"])

    def _ask_for_tokens(self, client_id: str, **form: str) -> dict[str, Any]:
        endpoint, basic = str(self.metadata["token_endpoint"]), (client_id, SECRET)
        answer = requests.post(endpoint, data=form, auth=basic, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@contextmanager
def running_nanoidp(folder: Path) -> Iterator[Provider]:
    """Serve nanoidp from a folder for its settings and keys."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    oauth = {
        "issuer": issuer,
        "audience": AUDIENCE,
        "token_expiry_minutes": 10,
        "clients": [{"client_id": PIPELINE, "client_secret": SECRET}],
    }
    # YAML, of which JSON is a part.
    settings = {"config_version": 1, "server": {"host": "127.0.0.1", "port": port}, "oauth": oauth}
    (folder / "settings.yaml").write_text(json.dumps(settings))
    (folder / "users.yaml").write_text(json.dumps({"config_version": 1, "users": {}}))
    with _provider([*program_from_pypi("nanoidp"), "--config", str(folder), "--strict-config"], issuer, folder) as at:
        yield at


@contextmanager
def running_oidc_provider() -> Iterator[Provider]:
    """Serve oidc-provider, with a client per algorithm that is named after it."""
    port = free_port()
    with _provider([*program_from_npm(), str(port), AUDIENCE, SECRET], f"http://127.0.0.1:{port}") as at:
        yield at


@contextmanager
def running_oidc_provider_mock(port: int | None = None) -> Iterator[Provider]:
    """Serve oidc-provider-mock, which makes its key when it starts and has no other way to rotate it."""
    port = port or free_port()
    command = [*program_from_pypi("oidc-provider-mock"), "--port", str(port)]
    with _provider(command, f"http://127.0.0.1:{port}") as at:
        yield at


@contextmanager
def _provider(command: list[str], issuer: str, folder: Path | None = None) -> Iterator[Provider]:
    with serving(command, issuer + DISCOVERY, os.environ, folder):
        yield Provider.at(issuer)
