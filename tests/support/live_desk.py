"""An automation at work on live servers: it has its provider sign, exchanges and creates changes, all over HTTP."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.servers import Running

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://change.example.com"
CHANGES = "/api/now/table/change_request"
INTEGRATIONS = "/api/now/oauth/integrations"
TIMEOUT_SECONDS = 60
# Too many long requests of one caller, as each is on a busy machine; too many requests that wait for their turn.
BUSY = frozenset({429, 503})


def administer(server: Running, method: str, path: str, *, acting: str = "admin", **fields: Any) -> Any:
    """Do something as the administrator, or as another user, over HTTP; insist on success, and return the answer."""
    url, user = server.url + path, (acting, ADMIN_PASSWORD)
    over_any_version = {"If-Match": "*"}
    answer = requests.request(
        method, url, json=fields or None, auth=user, headers=over_any_version, timeout=TIMEOUT_SECONDS
    )
    assert answer.ok, answer.text
    return answer.json()["result"] if answer.content else None


def repeated(send: Callable[[], requests.Response]) -> requests.Response:
    """Send a request again while the server refuses it before it begins, because it or its database is busy.

    A quota refuses requests for up to an hour, as its `Retry-After` shows: such an answer is returned at once.
    """
    end = time.monotonic() + TIMEOUT_SECONDS
    while (answer := send()).status_code in BUSY and time.monotonic() < end:
        if int(answer.headers.get("Retry-After", 0)) > TIMEOUT_SECONDS:
            break
        time.sleep(0.05)
    return answer


@dataclass
class LiveDesk:
    """A server, the provider it trusts, and the credentials of one automation."""

    url: str
    idp_url: str
    credentials: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def register(cls, server: Running, idp_url: str, name: str, *options: str) -> "LiveDesk":
        """Register an integration through the server's own command."""
        named = ("--name", name, "--provider-name", "Demo", "--issuer", idp_url, "--audience", AUDIENCE)
        url = ("--jwks-url", f"{idp_url}/.well-known/jwks.json")
        kind = () if "--public" in options else ("--no-public",)
        subject = () if "--user-field" in options else ("--run-as", "admin")
        made = server.changegate("integration", "create", *named, *url, *subject, *kind, *options, "--json")
        assert made.returncode == 0, made.stderr
        shown = json.loads(made.stdout)
        return cls(server.url, idp_url, {name: shown[name] for name in ("client_id", "client_secret")})

    @classmethod
    def enrol(cls, server: Running, idp_url: str, **fields: Any) -> "LiveDesk":
        """Register an integration, by a name of its own, through the admin API; it takes less time than a command."""
        name = f"Pipeline {secrets.token_hex(4)}"
        usual = {"name": name, "provider_name": "Demo", "issuer": idp_url, "audiences": [AUDIENCE], "run_as": "admin"}
        where = {"jwks_url": f"{idp_url}/.well-known/jwks.json", "public_client": False}
        made = administer(server, "POST", INTEGRATIONS, **(usual | where | fields))
        return cls(server.url, idp_url, {name: made[name] for name in ("client_id", "client_secret")})

    @property
    def client_id(self) -> str:
        return self.credentials["client_id"]

    def sign(self, **order: Any) -> str:
        """Have the provider sign an assertion."""
        wanted = {"sub": "pipeline", "aud": AUDIENCE, "alg": "ES256"} | order
        answer = self.session.post(f"{self.idp_url}/sign", json=wanted, timeout=TIMEOUT_SECONDS)
        assertion: str = answer.json()["assertion"]
        return assertion

    def exchange(self, assertion: str | None = None, path: str = "/oauth_token.do", **form: str) -> requests.Response:
        """Send a token request."""
        sent = {"grant_type": JWT_BEARER, "assertion": assertion or self.sign(), **self.credentials, **form}
        return self.session.post(self.url + path, data=sent, timeout=TIMEOUT_SECONDS)

    def token(self, assertion: str | None = None) -> str:
        """Exchange an assertion and insist on a token."""
        answer = self.exchange(assertion)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def call(self, token: str, method: str = "POST", path: str = CHANGES, **body: Any) -> requests.Response:
        """Call the Table API with a token."""
        bearer = {"Authorization": f"Bearer {token}"}
        options: dict[str, Any] = {"json": body or {"short_description": "Deploy"}} if method == "POST" else {}
        return self.session.request(method, self.url + path, headers=bearer, timeout=TIMEOUT_SECONDS, **options)

    def tell_provider(self, behavior: str) -> None:
        """Have the provider perform a behavior."""
        self.session.post(f"{self.idp_url}/behaviors/{behavior}", timeout=TIMEOUT_SECONDS).raise_for_status()

    def close(self) -> None:
        self.session.close()
