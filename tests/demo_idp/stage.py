"""The demo identity provider and a Changegate that trusts it, both over HTTP, with one clock that a test can move."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.schemas.integration import load_fields
from changegate.services.integrations.saving import register_integration
from changegate.services.oauth.event_search import get_event
from changegate.services.oauth.events import report_of
from changegate.services.users.accounts import create_user
from demo_idp import create_app
from demo_idp.exchange import Changegate, Client
from demo_idp.provider import Fault
from demo_idp.workbench import Workbench
from tests.demo_idp.servers import served

AUDIENCE = "https://change.example.com"
ROBOT = "release.bot"
# Longer than the cooldown, and shorter than a key set is fresh: whether Changegate fetches depends on the token alone.
PAST_THE_COOLDOWN = 45


@dataclass
class Stage:
    """Both applications, and the integration that sends."""

    app: Flask
    idp: FlaskClient
    url: str
    workbench: Workbench
    credentials: dict[str, str]

    def register(self, name: str = "Demo", **changes: Any) -> dict[str, str]:
        """Register an integration that trusts the provider, and let it send from now on."""
        fields = {
            "name": name,
            "provider_name": "Demo",
            "issuer": self.url,
            "audiences": [AUDIENCE],
            "run_as": ROBOT,
            "jwks_url": f"{self.url}/.well-known/jwks.json",
            "public_client": False,
        }
        with self.app.app_context():
            made = register_integration(load_fields(fields | changes), by="admin")
            db.session.commit()
            self.credentials = {"client_id": made.entity.client_id, "client_secret": made.client_secret or ""}
        return self.credentials

    def perform(self, name: str, *, send: bool = True, **order: Any) -> dict[str, Any]:
        """Perform a behavior and return the result."""
        return self._posted(f"/behaviors/{name}", {"send": send, **self.credentials, **order})

    def send(self, **order: Any) -> dict[str, Any]:
        """Sign a token and send it."""
        return self._posted("/send", {**self.credentials, **order})

    def resend(self, result: dict[str, Any]) -> bool:
        """Send the token of a former result; return whether it is accepted."""
        client = Client(self.credentials["client_id"], self.credentials["client_secret"])
        return self.workbench.changegate.exchange(result["assertion"], client).is_accepted

    def event(self, result: dict[str, Any]) -> OAuthExchange:
        """Return Changegate's event of the last answer of a result."""
        with self.app.app_context():
            return get_event(result["answers"][-1]["event"].rpartition("/")[2])

    def failed_rules(self, result: dict[str, Any]) -> list[str]:
        """Return the rules that Changegate reports as failed, in the order of their checks."""
        return [rule.rule for rule in report_of(self.event(result)) if not rule.passed]

    def pass_cooldown(self) -> None:
        """Let so much time pass that Changegate may fetch for an unknown kid."""
        self.app.config["CLOCK"].advance(seconds=PAST_THE_COOLDOWN)

    def _posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.idp.post(path, json=body)
        assert answer.status_code == 200, answer.get_json()
        result: dict[str, Any] = answer.get_json()
        return result


@contextmanager
def opened(app: Flask) -> Iterator[Stage]:
    """Serve both applications, with an integration."""
    idps: list[Flask] = []

    def make_idp(url: str) -> Flask:
        changegate = Changegate(changegate_url)
        idps.append(create_app(base_url=url, changegate=changegate, audience=AUDIENCE, now=app.config["CLOCK"]))
        return idps[0]

    with app.app_context():
        create_user(user_name=ROBOT, password=None, email=None, name=None, roles=["itil"])
        db.session.commit()
    with served(lambda _: app) as changegate_url, served(make_idp) as url:
        workbench = idps[0].extensions["workbench"]
        stage = Stage(app, idps[0].test_client(), url, workbench, {})
        stage.register()
        yield stage
        # Requests that wait for a slow key set are answered before the servers stop.
        workbench.provider.switch(Fault.NONE)
