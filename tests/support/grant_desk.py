"""Integrations of the types whose clients have a secret of their own, the users they act for, and their requests."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthRefreshToken, SysAuthScope, SysUser
from changegate.services.oauth.secrets import hash_client_secret, new_client_secret
from changegate.services.users.accounts import create_user, get_user, set_password
from tests.support.token_desk import RFC_PATH, ROBOT, Integration, TokenDesk

MARIA = "maria.keller"
PASSWORD = "maria maria maria"
CREATE = "change_request.create"


@pytest.fixture
def allowed_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the password grant on for whatever application is made next."""
    monkeypatch.setenv("CHANGEGATE_PASSWORD_GRANT_ENABLED", "1")


@dataclass
class GrantDesk:
    """A desk at which clients ask with a secret, and for some of them with a password."""

    desk: TokenDesk

    def register(self, type_: str, *, scopes: tuple[str, ...] = (CREATE,), **columns: Any) -> Integration:
        """Register an integration of a type; one for client credentials acts as the robot."""
        secret = new_client_secret()
        with self.desk.app.app_context():
            wanted = {"run_as": self.sys_id(ROBOT)} if type_ == "client_credentials" else {}
            entity = OAuthEntity(
                **{"type": type_, "name": f"{type_} {secret[:6]}", "client_id": secret[:32], **wanted, **columns},
                client_secret_hash=hash_client_secret(secret),
            )
            named = select(SysAuthScope).where(SysAuthScope.name.in_(scopes))
            entity.scopes = list(db.session.execute(named).scalars())
            db.session.add(entity)
            db.session.commit()
            return Integration(entity.sys_id, entity.client_id, secret)

    def sys_id(self, user_name: str) -> str:
        with self.desk.app.app_context():
            return get_user(user_name).sys_id

    def add_maria(self) -> str:
        """Add a user who can sign in; answers the sys_id."""
        with self.desk.app.app_context():
            user = create_user(user_name=MARIA, password=PASSWORD, email=None, name="Maria Keller", roles=["itil"])
            db.session.commit()
            return user.sys_id

    def set_user(self, user_name: str = MARIA, **columns: Any) -> None:
        """Write columns of a user as another process would."""
        with self.desk.app.app_context():
            db.session.execute(update(SysUser).where(SysUser.user_name == user_name).values(columns))
            db.session.commit()

    def set_password(self, password: str) -> None:
        """Give Maria another password."""
        with self.desk.app.app_context():
            set_password(get_user(MARIA), password)
            db.session.commit()

    def send(self, grant_type: str, client: Integration, path: str = RFC_PATH, **form: Any) -> TestResponse:
        """Send a token request; a parameter given as `...` is left out."""
        wanted = {"grant_type": grant_type, **client.credentials, **form}
        sent = {name: value for name, value in wanted.items() if value is not ...}
        return self.desk.send(urlencode(sent, doseq=True), path)

    def by_password(self, client: Integration, path: str = RFC_PATH, **form: Any) -> TestResponse:
        """Ask with Maria's password, or with what is given in its place."""
        return self.send("password", client, path, **({"username": MARIA, "password": PASSWORD} | form))

    def refresh(self, client: Integration, token: str, path: str = RFC_PATH, **form: Any) -> TestResponse:
        """Ask with a refresh token."""
        return self.send("refresh_token", client, path, refresh_token=token, **form)

    def both_tokens(self, client: Integration, **form: Any) -> tuple[str, str]:
        """Ask with the password, and insist on an access token and a refresh token."""
        answer = self.by_password(client, **form)
        assert answer.status_code == 200, (answer.get_json(), self.desk.last_event())
        body = answer.get_json()
        return body["access_token"], body["refresh_token"]

    def refreshed(self, client: Integration, token: str, **form: Any) -> str:
        """Ask with a refresh token, and insist on an access token."""
        answer = self.refresh(client, token, **form)
        assert answer.status_code == 200, (answer.get_json(), self.desk.last_event())
        access_token: str = answer.get_json()["access_token"]
        return access_token

    def is_good(self, access_token: str) -> bool:
        """Return whether the API takes an access token."""
        return self.desk.call(access_token).status_code == 201

    def refresh_rows(self) -> list[OAuthRefreshToken]:
        """Return what is kept of refresh tokens, oldest first."""
        with self.desk.app.app_context():
            ordered = select(OAuthRefreshToken).order_by(OAuthRefreshToken.correlation_id)
            return list(db.session.execute(ordered).scalars())

    def rules(self) -> dict[str, bool]:
        """Return the rules of the newest event and whether each was met."""
        event = self.desk.last_event()
        return {row[0]: row[1] is None for row in (event.rules or () if event else ())}


@pytest.fixture
def grants(desk: TokenDesk) -> GrantDesk:
    """Open a desk at which Maria has a password."""
    made = GrantDesk(desk)
    made.add_maria()
    return made
