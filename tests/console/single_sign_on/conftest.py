"""The demo identity provider over HTTP, and people in front of browsers who sign in with it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthExchange, SysUser
from changegate.services.oauth.events import write_counts
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import create_user, find_user
from demo_idp import create_app
from demo_idp.exchange import Changegate
from tests.conftest import BASE_URL, Clock
from tests.console.conftest import PASSWORD, ROOT
from tests.console.visitor import Visitor
from tests.demo_idp.servers import served

ALIAS = "demo"
START, CALLBACK = f"/single-sign-on/{ALIAS}", f"/single-sign-on/{ALIAS}/callback"
MARIA, TOM, NADIA, OMAR = "demo-10001", "demo-10002", "demo-10004", "demo-10005"
LINK = re.compile(r'<a class="btn btn-primary" href="([^"]*)"')


@dataclass
class SignOnDesk:
    """An application with the demo identity provider as its provider."""

    app: Flask
    idp: str
    provider: str = ""
    records: dict[str, str] = field(default_factory=dict)

    def create(self, table: str, **fields: str) -> str:
        with self.app.app_context():
            record = create_record(get_table(table), ROOT, fields, input_display_value=True)
            db.session.commit()
            return str(record["sys_id"])

    def update(self, table: str, sys_id: str, **fields: str) -> None:
        with self.app.app_context():
            update_record(get_table(table), ROOT, sys_id, fields, input_display_value=True)
            db.session.commit()

    def delete(self, table: str, sys_id: str) -> None:
        with self.app.app_context():
            delete_record(get_table(table), ROOT, sys_id)
            db.session.commit()

    def add_provider(self, **fields: str) -> str:
        given = {"name": "Demo IdP", "alias": ALIAS, "issuer": self.idp, "client_id": "change-desk"}
        return self.create("oidc_provider_configuration", **given | fields)

    def add_user(self, user_name: str, *roles: str) -> str:
        with self.app.app_context():
            user = create_user(user_name=user_name, password=PASSWORD, email=None, name=None, roles=list(roles))
            db.session.commit()
            return user.sys_id

    def link(self, user: str, subject: str, issuer: str | None = None) -> str:
        return self.create("sys_user_identity", user=user, issuer=issuer or self.idp, subject=subject)

    def map(self, value: str, **granted: str) -> str:
        mapping = {"provider": self.provider, "claim": "groups", "value": value}
        return self.create("oidc_claim_mapping", **mapping | granted)

    def user(self, user_name: str) -> SysUser | None:
        with self.app.app_context():
            return find_user(user_name)

    def roles(self, user: str) -> set[str]:
        return self._held("sys_user_has_role", "role", user)

    def groups(self, user: str) -> set[str]:
        return self._held("sys_user_grmember", "group", user)

    def _held(self, table: str, name: str, user: str) -> set[str]:
        with self.app.app_context():
            source = get_table(table).source
            target = get_table(f"sys_user_{name}").source
            of_user = select(target.c["name"]).join(source, source.c[name] == target.c["sys_id"])
            return set(db.session.execute(of_user.where(source.c["user"] == user)).scalars())

    def last_event(self) -> OAuthExchange:
        with self.app.app_context():
            write_counts(self.app.config["CLOCK"]())
            newest = select(OAuthExchange).order_by(OAuthExchange.correlation_id.desc()).limit(1)
            event = db.session.execute(newest).scalar_one()
            db.session.expunge(event)
            return event


class Window(Visitor):
    """A browser that also goes to the provider."""

    def begin(self, path: str = "/login") -> str:
        """Press the button on the login page and return the address of the provider's page."""
        page = self.open(path)
        left = self.send(page, START)
        assert left.status_code == 200, left.text
        return way_of(left)

    def answer_of(self, address: str, sub: str = MARIA, attack: str = "") -> str:
        """Choose a person on the provider's page and return where it sends the browser to."""
        page = requests.get(address, timeout=60)
        assert page.status_code == 200, page.text
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        parts = urlsplit(address)
        origin = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        form = {**asked, "sub": sub, "attack": attack}
        url = f"{parts.scheme}://{parts.netloc}/authorize"
        chosen = requests.post(url, data=form, headers=origin, allow_redirects=False, timeout=60)
        assert chosen.status_code == 303, chosen.text
        return chosen.headers["Location"]

    def come_back(self, location: str) -> TestResponse:
        """Open the address that the provider sends the browser to."""
        assert location.startswith(BASE_URL)
        return self.open(location.removeprefix(BASE_URL))

    def sign_on(self, sub: str = MARIA, attack: str = "", path: str = "/login") -> TestResponse:
        """Sign in with the provider."""
        return self.come_back(self.answer_of(self.begin(path), sub, attack))

    @property
    def name(self) -> str | None:
        """Return the user ID on the page, or None for a visitor who is not signed in."""
        found = re.search(r'<strong>.*</strong><br><span class="muted">([^<]*)</span>', self.open("/").text)
        return found[1] if found else None


def way_of(page: TestResponse) -> str:
    """Return the address that a page leads to."""
    found = LINK.search(page.text)
    assert found, page.text
    return unescape(found[1])


def query_of(url: str) -> Mapping[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    """Let the product fetch from loopback."""
    return {**settings, "jwks_allow_loopback": "1"}


@contextmanager
def opened(app: Flask) -> Iterator[SignOnDesk]:
    """Give an application the demo identity provider, and maria, whose account there is linked."""

    def make_idp(url: str) -> Flask:
        return create_app(base_url=url, changegate=Changegate(BASE_URL), now=app.config["CLOCK"])

    with served(make_idp) as idp:
        made = SignOnDesk(app, idp)
        made.provider = made.add_provider()
        made.records["maria"] = made.add_user("maria", "itil")
        made.link(made.records["maria"], MARIA)
        yield made


@pytest.fixture
def desk(app: Flask) -> Iterator[SignOnDesk]:
    with opened(app) as made:
        yield made


@pytest.fixture
def either_sign_on_desk(allowed_loopback: None, either_app: Flask) -> Iterator[SignOnDesk]:
    """Open a desk on SQLite, then one on PostgreSQL."""
    either_app.config["CLOCK"] = Clock()
    with opened(either_app) as made:
        yield made


@pytest.fixture
def window(desk: SignOnDesk) -> Window:
    """A browser in which nobody has signed in."""
    return Window(desk.app.test_client())


@pytest.fixture
def other_window(desk: SignOnDesk) -> Window:
    """A browser of somebody else."""
    return Window(desk.app.test_client())
