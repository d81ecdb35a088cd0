"""The history of an integration: each way to change it records who, when, and the old and new values, but no secret."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from changegate.cli import main
from changegate.extensions import db
from changegate.models import OAuthEntity, SysAudit
from changegate.services.integrations.integrations import constrain, end_tokens, lock_integration
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.support.integration_api import IntegrationApi

THUMBPRINT = "k" * 43
SECRET = "a shared key of more than thirty-two bytes"
Row = tuple[str, str, str | None, str | None]
Way = Callable[[str], object]


class Ways:
    """The ways to change an integration, each as a function of its client ID."""

    def __init__(self, app: Flask, api: IntegrationApi, output: pytest.CaptureFixture[str], folder: Path) -> None:
        self.app, self.api, self.output, self.folder = app, api, output, folder
        self.console = Visitor(app.test_client())
        self.console.sign_in("admin", ADMIN_PASSWORD)

    def press(self, button: str, tab: str = "", **changes: Any) -> Way:
        """Return a way that presses a button of a tab; the button `save` sends the form."""

        def pressed(client_id: str) -> None:
            path = f"/inbound-integrations/{client_id}"
            form = "integration" if button == "save" else f"{path}/{button}"
            assert self.console.send(self.console.open(path + tab), form, changes).status_code < 400

        return pressed

    def call(self, method: str, suffix: str = "", body: dict[str, Any] | None = None) -> Way:
        """Return a way that calls the admin API."""

        def called(client_id: str) -> None:
            assert self.api.send(method, f"/{client_id}{suffix}", body).status_code < 300

        return called

    def run(self, command: str, *options: str) -> Way:
        """Return a way that runs a command."""

        def ran(client_id: str) -> None:
            with pytest.raises(SystemExit) as ended:
                main(("integration", command, client_id, *options))
            assert not ended.value.code

        return ran

    def apply(self, before: str, after: str) -> Way:
        """Return a way that exports a file, edits it, and applies it."""

        def applied(client_id: str) -> None:
            file = self.folder / "integrations.yaml"
            self.output.readouterr()
            self.run("export")(client_id)
            text = self.output.readouterr().out
            assert before in text
            file.write_text(text.replace(before, after))
            with pytest.raises(SystemExit) as ended:
                main(("integration", "apply", "-f", str(file)))
            assert not ended.value.code

        return applied

    def revoke(self, client_id: str) -> None:
        """Revoke all tokens, as the page Manage Tokens does while there are any."""
        with self.app.app_context():
            end_tokens(lock_integration(client_id), by="admin")
            db.session.commit()

    def constrain(self, client_id: str) -> None:
        """Add a condition, as the page of an event does."""
        with self.app.app_context():
            constrain(lock_integration(client_id), "team", "shop", by="admin")
            db.session.commit()


@pytest.fixture
def ways(
    app: Flask, client: FlaskClient, admin: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Ways:
    return Ways(app, IntegrationApi(client, admin), capsys, tmp_path)


def history(app: Flask, sys_id: str) -> list[Row]:
    """Return user, field, old value, and new value of each row, with the time checked."""
    statement = select(SysAudit).where(SysAudit.tablename == "oauth_entity", SysAudit.documentkey == sys_id)
    with app.app_context():
        rows = db.session.execute(statement.order_by(SysAudit.sys_id)).scalars().all()
        assert all(abs((datetime.now(UTC) - row.sys_created_on).total_seconds()) < 600 for row in rows)
        return [(row.user, row.fieldname, row.oldvalue, row.newvalue) for row in rows]


COMMENTS = ("comments", "Old", "New")
REVOKED = ("token_generation", "0", "1")
OFF = ("active", "yes", "no")
BLOCKED = ("blocked_keys", None, THUMBPRINT)
NEW_SECRET = ("client_secret_hash", None, "(changed)")
CASES: dict[str, tuple[Callable[[Ways], Way], str, tuple[tuple[str, str | None, str | None], ...]]] = {
    "form": (lambda ways: ways.press("save", comments="New"), "admin", (COMMENTS,)),
    "API": (lambda ways: ways.call("PATCH", "", {"comments": "New"}), "admin", (COMMENTS,)),
    "command": (lambda ways: ways.run("update", "--comments", "New"), "system", (COMMENTS,)),
    "file": (lambda ways: ways.apply("comments: Old", "comments: New"), "system", (COMMENTS,)),
    "disable": (lambda ways: ways.press("disable", "/events"), "admin", (OFF, REVOKED)),
    "disable by API": (lambda ways: ways.call("POST", "/disable"), "admin", (OFF, REVOKED)),
    "disable by command": (lambda ways: ways.run("disable"), "system", (OFF, REVOKED)),
    "rotate": (lambda ways: ways.press("rotate-secret", overlap_hours="0"), "admin", (NEW_SECRET,)),
    "rotate by API": (lambda ways: ways.call("POST", "/rotate-secret", {"overlap_hours": 1}), "admin", (NEW_SECRET,)),
    "rotate by command": (lambda ways: ways.run("rotate-secret"), "system", (NEW_SECRET,)),
    "block by API": (lambda ways: ways.call("POST", f"/keys/{THUMBPRINT}/block"), "admin", (BLOCKED, REVOKED)),
    "block by command": (lambda ways: ways.run("block-key", THUMBPRINT), "system", (BLOCKED, REVOKED)),
    "constrain": (
        lambda ways: ways.constrain, "admin", (("claim_conditions", None, "team equals shop"), REVOKED)
    ),
    "revoke": (lambda ways: ways.revoke, "admin", (REVOKED,)),
    "delete": (lambda ways: ways.press("delete", "/delete"), "admin", (("DELETED", "Pipeline", None),)),
    "delete by API": (lambda ways: ways.call("DELETE"), "admin", (("DELETED", "Pipeline", None),)),
    "delete by command": (lambda ways: ways.run("delete", "--yes"), "system", (("DELETED", "Pipeline", None),)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_change_an_integration_is_recorded(app: Flask, ways: Ways, case: str) -> None:
    make_way, user, changes = CASES[case]
    made = ways.api.created(comments="Old")
    assert history(app, made["sys_id"]) == []
    make_way(ways)(made["client_id"])
    assert sorted(history(app, made["sys_id"])) == sorted((user, *change) for change in changes)


def test_enabling_and_unblocking_are_recorded(app: Flask, ways: Ways) -> None:
    made = ways.api.created()
    for way in (
        *(ways.call("POST", "/disable"), ways.press("enable")),
        *(ways.call("POST", f"/keys/{THUMBPRINT}/block"), ways.press("unblock-key", "/keys")),
    ):
        way(made["client_id"])
    rows = history(app, made["sys_id"])
    assert [row for row in rows if row[1] == "active"][1:] == [("admin", "active", "no", "yes")]
    assert [row for row in rows if row[1] == "blocked_keys"][1:] == [("admin", "blocked_keys", THUMBPRINT, None)]


def test_every_creation_is_recorded_in_the_record(app: Flask, ways: Ways) -> None:
    by_api = ways.api.created(name="By API")["sys_id"]
    options = ("--provider-name", "CI", "--issuer", "https://ci.example.com", "--run-as", "admin")
    with pytest.raises(SystemExit) as ended:
        main(("integration", "create", "--name", "By command", "--jwks-url", "https://ci.example.com/jwks", *options))
    assert not ended.value.code
    with app.app_context():
        statement = select(OAuthEntity.name, OAuthEntity.sys_created_by).order_by(OAuthEntity.name)
        assert [(*row,) for row in db.session.execute(statement)] == [("By API", "admin"), ("By command", "system")]
    assert history(app, by_api) == []


def test_no_secret_and_no_key_is_recorded(app: Flask, ways: Ways) -> None:
    maps = [{"name": "ours", "shared_key": SECRET}]
    made = ways.api.created(key_source="shared_key", jwks_url=..., algorithms=["HS256"], verifier_maps=maps)
    other = [{"name": "ours", "shared_key": f"{SECRET}, replaced"}]
    ways.call("PATCH", "", {"verifier_maps": other})(made["client_id"])
    rows = history(app, made["sys_id"])
    assert ("admin", "verifier_maps", "ours (shared key)", "ours (shared key) (changed)") in rows
    assert SECRET not in str(rows)
