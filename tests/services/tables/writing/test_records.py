"""Records on both databases: nothing is lost, nothing is written by halves."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from changegate.errors import ChangegateError, OperationFailed, RecordNotFound, RequestUnreadable
from changegate.extensions import db
from changegate.models import OAuthEntity, SysAttachment, SysAttachmentDoc, SysAudit, SysUser, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.reading.records import get_row, read_record
from changegate.services.tables.registry import Table, find_table, get_table
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing import records, referrers
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users import accounts
from tests.support.people import ADMIN, ROOT
from tests.support.statements import counted_statements

CHANGES = get_table("change_request")
USERS = get_table("sys_user")
GROUPS = get_table("sys_user_group")
THREADS = 8
EACH = 5
VALUES: dict[str, Any] = {
    "short_description": "\U0001f600 é ß \\ ' \" % _ ^",
    "description": "x" * 4000,
    "start_date": "1000-01-01 00:00:00",
    "end_date": "9998-12-31 23:59:59",
    "cab_date": "2026-01-31",
    "order": str(-(2**31) + 1),
    "cab_required": "true",
    "category": "System Software",
    "correlation_id": "x" * 100,
}


def read(sys_id: str) -> dict[str, Any]:
    fields = CHANGES.fields_for(ROOT.permissions)
    return dict(zip(fields, get_row(CHANGES, ROOT, sys_id, fields), strict=True))


def test_every_kind_of_value_comes_back_as_it_was_stored(at_work: Flask) -> None:
    created = create_record(CHANGES, ROOT, VALUES)
    db.session.commit()
    assert read(created["sys_id"]) == created
    updated = create_record(CHANGES, ROOT, {})
    update_record(CHANGES, ROOT, updated["sys_id"], VALUES)
    db.session.commit()
    assert {name: read(updated["sys_id"])[name] for name in VALUES} == {name: created[name] for name in VALUES}


def test_dates_read_as_utc_whatever_the_zone_of_the_database(at_work: Flask) -> None:
    created = create_record(CHANGES, ROOT, {"start_date": "2026-01-31T09:30:00+01:00"})
    db.session.commit()
    shown = read_record(CHANGES, ROOT, created["sys_id"], Shape("https://x"))
    assert shown["start_date"] == "2026-01-31 08:30:00"


def test_counts_each_of_several_concurrent_updates(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()

    def write(worker: int) -> None:
        for turn in range(EACH):
            with at_work.app_context():
                update_record(CHANGES, ROOT, sys_id, {"description": f"{worker} {turn}"})
                db.session.commit()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    assert read(sys_id)["sys_mod_count"] == THREADS * EACH


def test_of_concurrent_creations_with_one_id_one_succeeds(at_work: Flask) -> None:
    def create(_worker: int) -> bool:
        with at_work.app_context():
            try:
                create_record(CHANGES, ROOT, {"sys_id": "A" * 32})
                db.session.commit()
            except OperationFailed:
                db.session.rollback()
                return False
            return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(create, range(THREADS))) == [False] * (THREADS - 1) + [True]
    assert db.session.execute(select(func.count()).select_from(Task)).scalar_one() == 1


def test_of_concurrent_deletions_one_succeeds(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()

    def remove(_worker: int) -> bool:
        with at_work.app_context():
            try:
                delete_record(CHANGES, ROOT, sys_id)
                db.session.commit()
            except RecordNotFound:
                return False
            return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(remove, range(THREADS))) == [False] * (THREADS - 1) + [True]


@pytest.mark.parametrize("sys_id", ["", "\0", "\ud800", "x" * 100_000, "%", "\n"])
def test_an_unknown_sys_id_is_not_found(at_work: Flask, sys_id: str) -> None:
    for attempt in (
        lambda: get_row(CHANGES, ROOT, sys_id, ("number",)),
        lambda: update_record(CHANGES, ROOT, sys_id, {"state": 0}),
        lambda: delete_record(CHANGES, ROOT, sys_id),
    ):
        with pytest.raises(RecordNotFound):
            attempt()


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "\x1b[31m", "\x7f"])
def test_text_that_no_database_holds_is_refused_in_every_field(at_work: Flask, text: str) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()
    for name, entry in CHANGES.entries.items():
        if not entry.is_read_only:
            with pytest.raises(RequestUnreadable):
                update_record(CHANGES, ROOT, sys_id, {name: text})
            with pytest.raises(RequestUnreadable):
                create_record(CHANGES, ROOT, {name: text})
    db.session.rollback()
    assert read(sys_id)["sys_mod_count"] == 0


def test_every_writable_field_holds_as_much_as_it_promises(at_work: Flask) -> None:
    for table, required in ((CHANGES, {}), (USERS, {"user_name": "ann"})):
        texts = {
            name: "é" * entry.max_length
            for name, entry in table.entries.items()
            # A time zone is a name from a list, however long its column is.
            if entry.kind == "string" and entry.max_length and not entry.is_read_only and name != "time_zone"
        }
        record = create_record(table, ROOT, {**texts, **{name: texts[name] for name in required}})
        db.session.commit()
        assert all(record[name] == text for name, text in texts.items() if name in table.columns)


def test_a_user_that_something_needs_is_not_deleted(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    entity = OAuthEntity(name="CI", client_id="0" * 32, issuer="https://ci", jwks_url="https://ci/jwks", run_as=user)
    db.session.add(entity)
    db.session.commit()
    with pytest.raises(OperationFailed, match="Operation Failed") as refused:
        delete_record(USERS, ROOT, user)
    assert refused.value.detail == "Other records refer to this one and require it. Change or delete them first"
    db.session.rollback()
    assert db.session.get(SysUser, user) is not None


def test_references_to_a_deleted_user_are_emptied(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    sys_id = create_record(CHANGES, ROOT, {"assigned_to": "ann"})["sys_id"]
    other = create_record(CHANGES, ROOT, {})["sys_id"]
    delete_record(USERS, ROOT, user)
    db.session.commit()
    assert read(sys_id)["assigned_to"] is None
    assert (read(sys_id)["sys_mod_count"], read(other)["sys_mod_count"]) == (1, 0)


@pytest.mark.parametrize(("table", "field"), [("change_request", "assigned_to"), ("sys_user_grmember", "user")])
def test_a_record_is_kept_if_a_request_has_no_time_for_its_references_or_parts(
    at_work: Flask, monkeypatch: pytest.MonkeyPatch, table: str, field: str
) -> None:
    monkeypatch.setattr(referrers, "MOST_DEPENDENTS", 2)
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    for number in range(3):
        group = create_record(GROUPS, ROOT, {"name": f"Group {number}"})["sys_id"]
        create_record(get_table(table), ROOT, {field: user, "group": group})
    with pytest.raises(OperationFailed) as refused:
        delete_record(USERS, ROOT, user)
    assert "More than 2 records refer to it" in (refused.value.detail or "")
    db.session.rollback()


def test_an_emptied_reference_is_audited(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    sent = {"assigned_to": "ann", "requested_by": "ann", "state": 3}
    made = [create_record(CHANGES, ROOT, sent)["sys_id"] for _ in range(3)]
    delete_record(USERS, ROOT, user)
    db.session.commit()
    told = db.session.execute(select(SysAudit).where(SysAudit.documentkey.in_(made))).scalars().all()
    assert {(row.documentkey, row.fieldname) for row in told} == {
        (sys_id, field) for sys_id in made for field in ("assigned_to", "requested_by")
    }
    assert {(row.tablename, row.user, row.oldvalue, row.newvalue) for row in told} == {
        ("change_request", "admin", user, None)
    }
    assert len({row.sys_id for row in told}) == 6
    assert {len(row.sys_id) for row in told} == {32}


def test_two_users_never_differ_in_case_alone(at_work: Flask) -> None:
    create_record(USERS, ROOT, {"user_name": "ann"})
    with pytest.raises(ChangegateError, match="Operation Failed"):
        create_record(USERS, ROOT, {"user_name": "Ann"})
        db.session.commit()


class Witness(Rules):
    """Records its calls, and changes or refuses writes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        return {"name": "preset", "description": "preset", "manager": "admin"}

    def before_create(self, values: Values, caller: Caller) -> None:
        self.seen.append(("before_create", values["name"]))
        values["email"] = "rules@example.com"

    def after_create(self, values: Values, caller: Caller) -> None:
        stored = db.session.execute(select(GROUPS.source.c["name"])).scalars().all()
        self.seen.append(("after_create", values["name"] in stored))

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        self.seen.append(("before_update", dict(changes)))
        if changes.get("name") == "turned down":
            changes["name"] = record["name"]

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        self.seen.append(("after_update", (record["name"], dict(changes))))

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        self.seen.append(("before_delete", record["name"]))


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def witnessed(witness: Witness) -> Table:
    """A table with the witness for its rules."""
    return replace(GROUPS, rules=witness)


def test_rules_see_every_write_and_complete_it(at_work: Flask, witness: Witness, witnessed: Table) -> None:
    group = create_record(witnessed, ROOT, {"name": "sent", "description": ""})
    assert (group["description"], group["manager"], group["email"]) == ("preset", ADMIN, "rules@example.com")
    update_record(witnessed, ROOT, group["sys_id"], {"name": "changed"})
    update_record(witnessed, ROOT, group["sys_id"], {"name": "turned down"})
    delete_record(witnessed, ROOT, group["sys_id"])
    assert witness.seen == [
        ("before_create", "sent"),
        ("after_create", True),
        ("before_update", {"name": "changed"}),
        ("after_update", ("sent", {"name": "changed"})),
        ("before_update", {"name": "turned down"}),
        ("before_delete", "changed"),
    ]


def test_a_change_that_rules_remove_is_not_an_update(at_work: Flask, witnessed: Table) -> None:
    group = create_record(witnessed, ROOT, {"name": "sent"})
    after = update_record(witnessed, ROOT, group["sys_id"], {"name": "turned down"})
    assert dict(zip(GROUPS.fields_for(ROOT.permissions), after, strict=True)) == group


def test_an_update_returns_the_stored_record_without_reading_it_again(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    with counted_statements() as statements:
        after = update_record(CHANGES, ROOT, sys_id, VALUES)
    assert dict(zip(CHANGES.fields_for(ROOT.permissions), after, strict=True)) == read(sys_id)
    # The history of the change begins with an entry of its creation, for which it reads what was created, and by whom.
    history = ["SELECT", "SELECT", "SELECT", "INSERT"]
    commands = [text.split()[0] for text in statements if "sys_choice" not in text]
    # A planned change may have affected CIs, and with them conflicts.
    assert commands == ["SELECT", "SELECT", "UPDATE", "INSERT", *history]


def test_a_plain_creation_is_one_insert_and_a_number(at_work: Flask) -> None:
    create_record(CHANGES, ROOT, {})
    with counted_statements() as statements:
        create_record(CHANGES, ROOT, {"short_description": "x", "type": "normal", "priority": 4})
        db.session.commit()
    assert [text.split()[0] for text in statements if "INSERT" in text] == ["INSERT"]
    assert len(statements) <= 2


def test_refuses_a_new_record_without_mandatory_fields(at_work: Flask) -> None:
    for table, fields, labels in (
        (GROUPS, {}, "Name"),
        (get_table("sys_user_grmember"), {"user": "admin"}, "Group"),
        (get_table("sys_user_grmember"), {}, "User, Group"),
    ):
        with pytest.raises(OperationFailed) as refused:
            create_record(table, ROOT, fields)
        assert refused.value.detail == f"Data Policy Exception: The following fields are mandatory: {labels}"


def test_a_record_stores_the_integration_that_created_it(at_work: Flask) -> None:
    entity = OAuthEntity(name="CI", client_id="0" * 32, issuer="https://ci", jwks_url="https://ci/jwks", run_as=ADMIN)
    db.session.add(entity)
    db.session.flush()
    token = replace(ROOT, permissions=Permissions(ROOT.roles, TokenGrant(entity.sys_id, "")))
    sent = {"oauth_entity": "0" * 32}
    assert create_record(CHANGES, token, sent)["oauth_entity"] == entity.sys_id
    assert create_record(CHANGES, ROOT, sent)["oauth_entity"] is None
    assert "oauth_entity" not in create_record(GROUPS, token, {"name": "Team"})


def test_two_updates_that_refer_to_each_others_records_do_not_block(at_work: Flask) -> None:
    first, second = (create_record(CHANGES, ROOT, {})["sys_id"] for _ in range(2))
    db.session.commit()

    def write(turn: int) -> None:
        this, other = (first, second) if turn % 2 else (second, first)
        with at_work.app_context():
            update_record(CHANGES, ROOT, this, {"parent": other, "description": f"{turn}"})
            db.session.commit()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS * EACH)))
    assert read(first)["sys_mod_count"] == read(second)["sys_mod_count"] == THREADS * EACH // 2


def test_concurrent_entries_and_changes_are_all_counted(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()

    def write(turn: int) -> None:
        with at_work.app_context():
            update_record(CHANGES, ROOT, sys_id, {"work_notes": "n"} if turn % 2 else {"description": f"{turn}"})
            db.session.commit()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS * EACH)))
    assert read(sys_id)["sys_mod_count"] == THREADS * EACH


def test_reports_a_referenced_record_that_was_deleted_meanwhile(
    at_work: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "0" * 32
    monkeypatch.setattr(records, "changed_values", lambda *_args, **_options: {"assigned_to": gone})
    with pytest.raises(OperationFailed) as refused:
        create_record(CHANGES, ROOT, {})
        db.session.commit()
    assert refused.value.detail == "A record that this one refers to has just been deleted"


def test_attachments_go_with_their_record(at_work: Flask) -> None:
    ids = [create_record(CHANGES, ROOT, {})["sys_id"] for _ in range(2)]
    for sys_id in ids:
        sizes = {"size_bytes": 1, "size_compressed": 1, "chunk_size_bytes": 1}
        names = {"file_name": "a.txt", "content_type": "text/plain", "hash": "0" * 64}
        attachment = SysAttachment(table_name="change_request", table_sys_id=sys_id, **sizes, **names)
        db.session.add(attachment)
        db.session.flush()
        db.session.add(SysAttachmentDoc(attachment=attachment.sys_id, position=0, data=b"x"))
    db.session.commit()
    delete_record(CHANGES, ROOT, ids[0])
    db.session.commit()
    assert db.session.execute(select(SysAttachment.table_sys_id)).scalars().all() == [ids[1]]
    assert db.session.execute(select(func.count()).select_from(SysAttachmentDoc)).scalar_one() == 1


def test_a_new_record_is_returned_without_secrets(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann", "user_password": "a secret"})
    assert "user_password" not in user
    assert user.keys() == set(USERS.columns)


def test_every_table_that_is_referred_to_is_known() -> None:
    group = find_table("sys_user_group")
    assert group is not None
    assert group.display_field == "name"
    assert find_table("nonsense") is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sys_user", {"user_name": "ann"}),
        ("sys_user_group", {"name": "Network"}),
        ("sysapproval_approver", {"approver": "admin"}),
    ],
)
def test_a_record_that_access_refers_to_does_not_get_the_sys_id_of_a_deleted_one(
    at_work: Flask, name: str, values: dict[str, str]
) -> None:
    """Tokens, owners of integrations, and delegations keep the sys_id."""
    sys_id = create_record(get_table(name), ROOT, values)["sys_id"]
    delete_record(get_table(name), ROOT, sys_id)
    with pytest.raises(OperationFailed) as refusal:
        create_record(get_table(name), ROOT, {**values, "sys_id": sys_id})
    assert refusal.value.detail == "This sys_id was that of a deleted record. Choose another one, or none"


def test_a_creation_during_the_deletion_of_its_sys_id_is_refused(
    either_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_creating = threading.Event()
    monkeypatch.setattr(accounts, "require_unclaimed", lambda *_: is_creating.set())

    def create(sys_id: str) -> None:
        with either_app.app_context():
            create_record(USERS, ROOT, {"user_name": "bob", "sys_id": sys_id})
            db.session.commit()

    with either_app.app_context(), ThreadPoolExecutor(1) as pool:
        sys_id = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
        db.session.commit()
        is_creating.clear()
        delete_record(USERS, ROOT, sys_id)
        creation = pool.submit(create, sys_id)
        assert is_creating.wait(10)
        db.session.commit()
        with pytest.raises(OperationFailed):
            creation.result()
