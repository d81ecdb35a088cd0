"""The exchange of a token at Changegate, by this server and at the configured address only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_PATH = "/oauth/token"
EVENTS_PATH = "/inbound-integrations/events"
TIMEOUT_SECONDS = 20
SHOWN_OF_TOKEN = 8


@dataclass(frozen=True, slots=True, repr=False)
class Client:
    """The OAuth client that exchanges; a public client has no secret, and may have no ID."""

    client_id: str = ""
    secret: str = ""

    @property
    def form(self) -> dict[str, str]:
        """Return the form parameters that name and authenticate the client."""
        values = {"client_id": self.client_id, "client_secret": self.secret}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Answer:
    """Changegate's answer; `event_url` is the page of its token event. The status is None if there was no answer."""

    status: int | None
    body: Mapping[str, Any]
    event_url: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Return whether an access token was issued."""
        return self.status == 200


class Changegate:
    """Changegate's token endpoint; `ca_file` verifies its certificate."""

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._verify = ca_file or True

    def exchange(self, assertion: str, client: Client) -> Answer:
        """Send a token request and return the answer, with the access token shortened."""
        form = {"grant_type": JWT_BEARER_GRANT, "assertion": assertion, **client.form}
        try:
            with requests.Session() as session:
                # No proxy and no other CA of the environment; a redirect would be another destination.
                session.trust_env = False
                answer = session.post(
                    self.url + EXCHANGE_PATH,
                    data=form,
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                    verify=self._verify,
                )
        except requests.RequestException as problem:
            sentence = f"There is no answer from {self.url} ({type(problem).__name__}). Start Changegate there."
            return Answer(None, {"error": "unreachable", "error_description": sentence})
        identifier = answer.headers.get("X-Request-Id", "")
        event_url = f"{self.url}{EVENTS_PATH}/{identifier}" if identifier.isalnum() else None
        return Answer(answer.status_code, _shown(answer), event_url)


def _shown(answer: requests.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {"error": "not_json", "error_description": "The answer is not a JSON object."}
    if "access_token" in body:
        body["access_token"] = f"{str(body['access_token'])[:SHOWN_OF_TOKEN]}…"
    return body
