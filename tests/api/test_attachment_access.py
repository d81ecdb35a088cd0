"""A file is as readable, and as writable, as the record it belongs to; a token also needs a scope."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.extensions import db
from changegate.models import SysApiAccessScope, SysAuthScope
from changegate.services.users.accounts import create_user
from tests.conftest import basic
from tests.support.attachment_api import ATTACHMENTS, CHANGE, AttachmentApi
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import ROBOT, TokenDesk

PASSWORD = "itil itil itil"
NOBODYS = "0" * 32
As = Callable[..., AttachmentApi]


@pytest.fixture
def acting(either_app: Flask) -> As:
    """Return a function that adds a user with roles and returns a client for their calls."""

    def act(user_name: str, *roles: str) -> AttachmentApi:
        with either_app.app_context():
            create_user(user_name=user_name, password=PASSWORD, email=None, name=None, roles=list(roles))
            db.session.commit()
        return AttachmentApi(either_app.test_client(), basic(user_name, PASSWORD))

    return act


def test_an_unauthenticated_caller_gets_nothing(app: Flask, admin: dict[str, str]) -> None:
    known = AttachmentApi(app.test_client(), admin)
    sys_id = known.uploaded(known.change())["sys_id"]
    unauthenticated = AttachmentApi(app.test_client(), {})
    answers = [
        unauthenticated.page(),
        unauthenticated.get(sys_id),
        unauthenticated.file(sys_id),
        unauthenticated.file(sys_id, "HEAD"),
    ]
    answers += [
        unauthenticated.upload(NOBODYS),
        unauthenticated.send_form(),
        unauthenticated.rename(sys_id, {}),
        unauthenticated.delete(sys_id),
    ]
    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("itil", True, True),
        ("change_manager", True, True),
        ("sn_change_read", True, False),
        ("approver_user", False, False),
    ],
)
def test_roles_on_the_record_are_roles_on_its_files(acting: As, role: str, reads: bool, writes: bool) -> None:
    owner, caller = acting("owner", "itil"), acting("caller", role)
    change = owner.change()
    sys_id = owner.uploaded(change)["sys_id"]
    assert len(caller.names()) == int(caller.page().headers["X-Total-Count"]) == reads
    assert {caller.get(sys_id).status_code, caller.file(sys_id).status_code} == {200 if reads else 404}
    refused = 403 if reads else 404
    assert caller.upload(change).status_code == (201 if writes else refused)
    form = caller.send_form(("file", "a", b"a"), table_name=CHANGE, table_sys_id=change)
    assert form.status_code == (201 if writes else refused)
    assert caller.rename(sys_id, {"file_name": "b"}).status_code == (204 if writes else refused)
    assert caller.delete(sys_id).status_code == (204 if writes else refused)


def test_a_plain_user_reads_only_the_files_of_their_own_changes(acting: As) -> None:
    owner, plain = acting("owner", "itil"), acting("plain")
    users = TableApi(plain.client, owner.headers, "/api/now/table/sys_user")
    [who] = result_of(users.page(query="user_name=plain"))
    visible, others = owner.change(requested_by=who["sys_id"]), owner.change()
    mine, hidden = owner.uploaded(visible, name="mine.txt"), owner.uploaded(others, name="hidden.txt")
    assert plain.names() == plain.names(table_name=CHANGE) == ["mine.txt"]
    assert plain.names(sysparm_query="file_nameLIKEtxt^NQsys_idISNOTEMPTY^ORsys_id!=x") == ["mine.txt"]
    assert plain.names(table_sys_id=others) == []
    assert plain.file(mine["sys_id"]).data == b"log"
    assert plain.file(hidden["sys_id"]).status_code == 404
    assert plain.upload(visible).status_code == 403
    assert plain.upload(others).status_code == 404
    assert plain.delete(mine["sys_id"]).status_code == 403


def test_a_file_of_a_user_is_written_by_administrators_only(acting: As) -> None:
    worker, root = acting("worker", "itil"), acting("root", "admin")
    users = TableApi(worker.client, worker.headers, "/api/now/table/sys_user")
    [who] = result_of(users.page(query="user_name=worker"))
    assert worker.upload(who["sys_id"], table="sys_user").status_code == 403
    photo = root.uploaded(who["sys_id"], table="sys_user", name="photo.png")
    assert worker.names() == ["photo.png"]
    assert worker.delete(photo["sys_id"]).status_code == 403


@pytest.mark.parametrize("table", ["sys_audit", "sys_dictionary", "oauth_entity", "sys_journal_field"])
def test_a_table_without_updates_accepts_no_files(acting: As, table: str) -> None:
    root = acting("root", "admin")
    records = result_of(TableApi(root.client, root.headers, f"/api/now/table/{table}").page(limit=1))
    record = records[0]["sys_id"] if records else NOBODYS
    assert root.upload(record, table=table).status_code == (403 if records else 404)


def allow(desk: TokenDesk, *methods: str, table: str = CHANGE) -> None:
    """Let the scope that integrations get by default cover calls of the Attachment API."""
    with desk.app.app_context():
        for scope in db.session.execute(select(SysAuthScope.sys_id)).scalars().all():
            rules = [
                SysApiAccessScope(scope=scope, rest_api="now/attachment", http_method=method, table=table)
                for method in methods
            ]
            db.session.add_all(rules)
        db.session.commit()


def call(desk: TokenDesk, token: str, method: str, path: str = "", **options: Any) -> Any:
    return desk.call(token, method, f"{ATTACHMENTS}{path}", **options)


def attach(desk: TokenDesk, token: str, record: str, table: str = CHANGE) -> Any:
    where = {"table_name": table, "table_sys_id": record, "file_name": "deploy.log"}
    sent = {"data": b"log", "content_type": "text/plain", "json": None}
    return call(desk, token, "POST", "/file", query_string=where, **sent)


def test_a_token_that_creates_changes_attaches_nothing(desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    change = desk.call(token).get_json()["result"]["sys_id"]
    answers = [attach(desk, token, change), call(desk, token, "GET"), call(desk, token, "DELETE", f"/{NOBODYS}")]
    answers += [call(desk, token, "GET", f"/{NOBODYS}/file"), call(desk, token, "POST", "/upload", json=None)]
    assert [error_of(answer)[0] for answer in answers] == ["Missing required api access scope"] * len(answers)


def test_a_token_attaches_where_its_scope_says_so(desk: TokenDesk, admin: dict[str, str]) -> None:
    allow(desk, "POST")
    token = desk.token(desk.register())
    change = desk.call(token).get_json()["result"]["sys_id"]
    created = attach(desk, token, change)
    assert created.status_code == 201
    assert result_of(created)["sys_created_by"] == ROBOT
    sys_id = result_of(created)["sys_id"]
    for method, path in (("GET", ""), ("GET", f"/{sys_id}"), ("HEAD", f"/{sys_id}/file"), ("DELETE", f"/{sys_id}")):
        assert call(desk, token, method, path).status_code == 403
    assert call(desk, token, "PATCH", f"/{sys_id}", json={"file_name": "x"}).status_code == 403
    root = AttachmentApi(desk.app.test_client(), admin)
    users = TableApi(root.client, admin, "/api/now/table/sys_user")
    [who] = result_of(users.page(query="user_name=admin"))
    assert attach(desk, token, who["sys_id"], "sys_user").status_code == 403
    assert attach(desk, token, change, "task").status_code == 403


def test_a_token_lists_the_files_of_its_tables_only(desk: TokenDesk, admin: dict[str, str]) -> None:
    root = AttachmentApi(desk.app.test_client(), admin)
    [who] = result_of(TableApi(root.client, admin, "/api/now/table/sys_user").page(query="user_name=admin"))
    seen = root.uploaded(root.change(), name="seen.txt")["sys_id"]
    unseen = root.uploaded(who["sys_id"], table="sys_user", name="unseen.txt")["sys_id"]
    allow(desk, "GET")
    token = desk.token(desk.register())
    assert [record["file_name"] for record in result_of(call(desk, token, "GET"))] == ["seen.txt"]
    assert call(desk, token, "GET", f"/{seen}/file").data == b"log"
    assert call(desk, token, "GET", f"/{unseen}").status_code == 404
    assert call(desk, token, "GET", f"/{unseen}/file").status_code == 404


def test_the_scope_that_reads_changes_lists_their_files(desk: TokenDesk, admin: dict[str, str]) -> None:
    root = AttachmentApi(desk.app.test_client(), admin)
    change = root.change()
    root.uploaded(change, name="seen.txt")
    token = desk.token(desk.register(scopes=["change_request.read"]))
    listed = call(desk, token, "GET", f"?sysparm_query=table_name=change_request^table_sys_id={change}")
    assert [record["file_name"] for record in result_of(listed)] == ["seen.txt"]
    assert attach(desk, token, change).status_code == 403


def test_a_scope_that_is_taken_back_counts_at_once(desk: TokenDesk) -> None:
    allow(desk, "POST")
    token = desk.token(desk.register())
    change = desk.call(token).get_json()["result"]["sys_id"]
    assert attach(desk, token, change).status_code == 201
    with desk.app.app_context():
        is_of_files = SysApiAccessScope.rest_api == "now/attachment"
        db.session.execute(update(SysApiAccessScope).where(is_of_files).values(active=False))
        db.session.commit()
    assert attach(desk, token, change).status_code == 403
