"""Onboard a provider as an administrator does: at the console, through its form, over HTTP."""

import html
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import requests

from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Changes, FormReader
from tests.support.live_desk import AUDIENCE, LiveDesk
from tests.support.servers import Running

TIMEOUT_SECONDS = 60
FORM = "integration"
NEW = "/inbound-integrations/new/jwt-bearer/form"
BUTTON = re.compile(r"<button ([^>]*)>(?:<svg.*?</svg>)?([^<]*)</button>", re.DOTALL)
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
SHOWN_ONCE = re.compile(r'<code id="(client-id|client-secret)">([^<]+)</code>')
FIELD_ERROR = re.compile(r'id="([\w-]+)-error-\d+">.*?</svg>(.*?)</p>', re.DOTALL)
Choice = str | list[str] | None


class Console:
    """A browser without scripts, in which the administrator has signed in.

    The choices that its methods take are what a browser would send for the form's fields; None unticks a box, and
    what is not chosen stays as the form has it.
    """

    def __init__(self, server: Running, session: requests.Session) -> None:
        self._server = server
        self._session = session
        self._made = 0
        login = self._open("/login")
        self._send(login, "/login", {"user_name": "admin", "password": ADMIN_PASSWORD})

    @contextmanager
    def onboarded(self, issuer: str, **choices: Choice) -> Iterator[LiveDesk]:
        """Register an integration, and give an automation that may use it."""
        self._made += 1
        page = self._begin(issuer, choices)
        saved = self._press("Save", page, _typed(issuer, f"Integration {self._made}") | choices)
        assert saved.status_code == 200, FIELD_ERROR.findall(saved.text)
        shown = {name.replace("-", "_"): html.unescape(value) for name, value in SHOWN_ONCE.findall(saved.text)}
        with closing(LiveDesk(self._server.url, issuer, shown)) as desk:
            yield desk

    def test_connection(self, issuer: str) -> str:
        """Have the keys fetched; answers the page."""
        return self._press("Test connection", self._begin(issuer, {}), _typed(issuer)).text

    def try_token(self, issuer: str, token: str, **choices: Choice) -> str:
        """Verify a token against an unsaved form; return the page."""
        typed = _typed(issuer) | choices | {"assertion": token}
        return self._press("Try a token", self._begin(issuer, choices), typed).text

    def _begin(self, issuer: str, choices: Mapping[str, Choice]) -> requests.Response:
        """Paste the issuer, and let the form find the JWKS URL unless that is chosen."""
        page = self._open(NEW)
        unknown = [field for field in choices if f'name="{field}"' not in page.text]
        assert not unknown, f"the form does not ask for {unknown}"
        return page if "jwks_url" in choices else self._press("Look up issuer", page, {"issuer": issuer})

    def _open(self, path: str) -> requests.Response:
        answer = self._session.get(self._server.url + path, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer

    def _press(self, label: str, page: requests.Response, typed: Changes) -> requests.Response:
        """Press a button of the integration form."""
        buttons = [dict(ATTRIBUTE.findall(found)) for found, text in BUTTON.findall(page.text) if text == label]
        assert buttons, f"the page has no button {label}"
        button = buttons[0]
        pressed = {button["name"]: button["value"]} if "name" in button else {}
        return self._send(page, FORM, {**typed, **pressed}, button.get("formaction"))

    def _send(self, page: requests.Response, form: str, typed: Changes, action: str | None = None) -> requests.Response:
        reader = FormReader()
        reader.feed(page.text)
        fields = reader.forms[form]
        for name, value in typed.items():
            fields.setlist(name, [] if value is None else [value] if isinstance(value, str) else value)
        url = self._server.url + (action or reader.actions[form])
        return self._session.post(url, data=fields.to_dict(flat=False), timeout=TIMEOUT_SECONDS)


@contextmanager
def console(server: Running) -> Iterator[Console]:
    """Sign in at the console of a live server."""
    with requests.Session() as session:
        yield Console(server, session)


def reason_for(server: Running, refused: requests.Response) -> str:
    """Return why an exchange was refused, which its answer does not tell and the event that it names does."""
    assert refused.status_code == 401, refused.text
    database = sqlite3.connect(f"file:{server.instance / 'changegate.db'}?mode=ro", uri=True)
    with closing(database):
        question = "SELECT reason FROM oauth_exchange WHERE correlation_id = ?"
        ((reason,),) = database.execute(question, (refused.json()["correlation_id"],))
    return str(reason)


def _typed(issuer: str, name: str = "Trial") -> dict[str, Choice]:
    told = {"issuer": issuer, "name": name, "provider_name": name, "run_as": "admin", "audiences": AUDIENCE}
    return told | {"public_client": None}
