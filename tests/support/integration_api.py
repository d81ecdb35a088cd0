"""The admin API as an administrator's script uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

INTEGRATIONS = "/api/now/oauth/integrations"
EVENTS = "/api/now/oauth/events"
LEAST: Mapping[str, Any] = {
    "name": "Pipeline",
    "provider_name": "Example CI",
    "issuer": "https://ci.example.com",
    "jwks_url": "https://ci.example.com/jwks.json",
    "run_as": "admin",
    "public_client": False,
}


@dataclass(frozen=True)
class AdminApi:
    """Calls with the credentials of one user to paths under `base`."""

    client: FlaskClient
    headers: Mapping[str, str]
    base: str

    def send(self, method: str, path: str = "", body: Any = None, **headers: str) -> TestResponse:
        """Call a path; a write is made over any version unless `If_Match` names one."""
        sent = {} if body is None else {"json": body}
        named = {name.replace("_", "-"): value for name, value in ({"If_Match": "*"} | headers).items()}
        return self.client.open(f"{self.base}{path}", method=method, headers={**self.headers, **named}, **sent)

    def result(self, method: str, path: str = "", body: Any = None) -> Any:
        """Call and insist on success."""
        response = self.send(method, path, body)
        assert response.status_code in {200, 201}, response.text
        return response.get_json()["result"]

    def refused(self, method: str, path: str = "", body: Any = None, status: int = 400) -> str:
        """Call and insist on a refusal; answers its message."""
        response = self.send(method, path, body)
        assert response.status_code == status, response.text
        answered = response.get_json()
        assert (answered.keys(), answered["status"]) == ({"error", "status"}, "failure")
        message: str = answered["error"]["message"]
        return message


@dataclass(frozen=True)
class IntegrationApi(AdminApi):
    """Calls to the integrations."""

    base: str = INTEGRATIONS

    def created(self, **changes: Any) -> dict[str, Any]:
        """Register an integration; a field given as `...` is left out."""
        fields = {name: value for name, value in {**LEAST, **changes}.items() if value is not ...}
        made: dict[str, Any] = self.result("POST", "", fields)
        return made
