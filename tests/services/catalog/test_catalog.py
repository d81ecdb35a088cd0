"""Who sees which records of which table."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert, select

from changegate.database import connection
from changegate.errors import AccessRefused, TableUnknown
from changegate.extensions import db
from changegate.models import OAuthEntity, SysAttachment, SysAudit, SysJournalField, SysUser
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.catalog import TABLES
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.records import count_records, read_page
from changegate.services.tables.registry import ANYONE, NOBODY, View, find_table, get_table, lineage_of
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import create_user
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
ALL = parse_encoded_query("")
STAMPS = {"sys_created_by": "x", "sys_updated_by": "x", "sys_mod_count": 0}
# Each user's own records: a change with its task, item, approval, journal entry and attachment.
OWN = {
    "task": 2,
    "change_request": 1,
    "change_task": 1,
    "task_ci": 1,
    "sysapproval_approver": 1,
    "sys_journal_field": 2,
    "sys_attachment": 4,
}
ALL_RECORDS = {name: 2 * how_many for name, how_many in OWN.items()} | {"sys_attachment": 7, "sys_journal_field": 8}


def caller(name: str, *roles: str) -> Caller:
    user = create_user(user_name=name, password=None, email=f"{name}@example.com", name=None, roles=[])
    return Caller(user.sys_id, name, Permissions(frozenset(roles)))


def insert_row(model: type[Any], **values: Any) -> None:
    now = utc_now()
    stamped = {"sys_id": new_sys_id(), "sys_created_on": now, "sys_updated_on": now, **STAMPS, **values}
    connection().execute(insert(model.__table__).values(stamped))


def add_change(requester: Caller, ci: str, approver: str) -> str:
    """Add a change with one of everything that belongs to it."""
    change: str = create(ROOT, "change_request", requested_by=requester.sys_id)
    task = create(ROOT, "change_task", change_request=change)
    approval = create(ROOT, "sysapproval_approver", sysapproval=change, approver=approver)
    create(ROOT, "task_ci", task=change, ci_item=ci)
    for name, sys_id in (("change_request", change), ("change_task", task), ("sysapproval_approver", approval)):
        if name != "sysapproval_approver":
            for element in ("work_notes", "comments"):
                insert_row(SysJournalField, name=name, element=element, element_id=sys_id, value="x")
        file = {"file_name": "x", "content_type": "text/plain", "hash": "x", "state": "available"}
        sizes = {"size_bytes": 1, "size_compressed": 1, "compressed": False, "chunk_size_bytes": 1}
        insert_row(SysAttachment, table_name=name, table_sys_id=sys_id, **file, **sizes)
    return change


def create(by: Caller, table: str, **sent: str) -> str:
    return str(create_record(get_table(table), by, sent)["sys_id"])


def seen(by: Caller, names: Mapping[str, int]) -> dict[str, int]:
    return {name: count_records(get_table(name), by, ALL) for name in names}


@pytest.fixture
def people() -> dict[str, Caller]:
    """Two plain users with a change each; Ann's has an approver, and the other's is Ann's to approve."""
    ann, tom, eva = caller("ann"), caller("tom"), caller("eva", "approver_user")
    ci = create(ROOT, "cmdb_ci", name="edge-router-01")
    file = {"file_name": "x", "content_type": "text/plain", "hash": "x", "state": "available"}
    sizes = {"size_bytes": 1, "size_compressed": 1, "compressed": False, "chunk_size_bytes": 1}
    insert_row(SysAttachment, table_name="cmdb_ci", table_sys_id=ci, **file, **sizes)
    add_change(ann, ci, eva.sys_id)
    add_change(tom, ci, eva.sys_id)
    return {"ann": ann, "tom": tom, "eva": eva}


@pytest.mark.parametrize("name", ["ann", "tom"])
def test_a_plain_user_sees_their_own_records_and_what_belongs_to_them(people: dict[str, Caller], name: str) -> None:
    assert seen(people[name], OWN) == OWN


@pytest.mark.parametrize("role", ["itil", "sn_change_read", "sn_change_write", "change_manager", "admin"])
def test_those_who_read_changes_see_all_that_belongs_to_them(people: dict[str, Caller], role: str) -> None:
    assert seen(caller("rita", role), OWN) == ALL_RECORDS


def test_an_approver_sees_their_approvals_but_not_the_changes(people: dict[str, Caller]) -> None:
    shown = seen(people["eva"], OWN)
    # Files of the approvals and of the item, which all users read.
    assert shown == dict.fromkeys(OWN, 0) | {"sysapproval_approver": 2, "sys_attachment": 3}


@pytest.mark.parametrize(
    ("table", "readers"),
    [
        ("oidc_provider_configuration", {"admin"}),
        ("sys_filter", {"admin"}),
        ("sys_user_identity", {"admin"}),
        ("chg_policy_approval", {"admin", "itil"}),
        ("sys_user", {"admin", "itil", ""}),
    ],
)
def test_the_files_of_a_record_are_listed_for_those_who_may_read_it(table: str, readers: set[str]) -> None:
    file = {"file_name": "x", "content_type": "text/plain", "hash": "x", "state": "available"}
    sizes = {"size_bytes": 1, "size_compressed": 1, "compressed": False, "chunk_size_bytes": 1}
    insert_row(SysAttachment, table_name=table, table_sys_id=new_sys_id(), **file, **sizes)
    callers = {role: caller(f"rita{role}", *filter(None, [role])) for role in ("admin", "itil", "")}
    names = {"sys_attachment": 1}
    assert {role for role, by in callers.items() if seen(by, names)["sys_attachment"]} == readers


def test_a_dot_walk_ends_where_the_caller_may_not_look(people: dict[str, Caller]) -> None:
    approvals = get_table("sysapproval_approver")
    named = parse_encoded_query("sysapproval.numberSTARTSWITHCHG")
    assert count_records(approvals, people["eva"], named) == 0
    assert count_records(approvals, people["ann"], named) == 1


def test_the_trail_of_users_is_for_administrators(people: dict[str, Caller]) -> None:
    for name in ("change_request", "change_task", "sys_user", "cmdb_ci"):
        insert_row(SysAudit, tablename=name, fieldname="x", documentkey="x", user="x", oldvalue=None, newvalue="x")
    trail = get_table("sys_audit")
    assert count_records(trail, caller("rita", "itil"), ALL) == 2
    assert count_records(trail, ROOT, parse_encoded_query("fieldname=x")) == 4
    with pytest.raises(AccessRefused):
        count_records(trail, people["ann"], ALL)


@pytest.mark.parametrize("name", ["sys_certificate", "sys_auth_scope"])
def test_what_integrations_share_is_readable_by_integration_administrators_only(name: str) -> None:
    for role in ("oauth_admin", "mi_admin"):
        count_records(get_table(name), caller(role, role), ALL)
    count_records(get_table(name), ROOT, ALL)
    for role in ("itil", "change_manager", "approver_user"):
        with pytest.raises(AccessRefused):
            count_records(get_table(name), caller(role, role), ALL)


def test_no_secret_of_an_integration_is_a_field() -> None:
    secrets = {column.key for column in OAuthEntity.__table__.columns if "secret" in column.key}
    assert secrets == {
        "client_secret_hash",
        "client_secret_hint",
        "previous_client_secret_hash",
        "previous_client_secret_expires_at",
        "client_secret_created_at",
    }
    instants = {"previous_client_secret_expires_at", "client_secret_created_at"}
    assert secrets & get_table("oauth_entity").columns.keys() == instants


def test_private_fields_of_users_are_for_administrators() -> None:
    users = get_table("sys_user")
    rita = caller("rita", "change_manager")
    private = set(users.fields_for(ROOT.permissions)) - set(users.fields_for(rita.permissions))
    assert {"email", "phone", "mobile_phone", "employee_number", "last_login_time"} <= private
    assert "user_password" not in users.fields_for(ROOT.permissions)


@pytest.mark.parametrize(
    "name",
    [
        "task",
        "sys_journal_field",
        "sys_audit",
        "sys_attachment",
        "sys_db_object",
        "sys_dictionary",
        "oauth_entity",
        "oauth_exchange",
        "oauth_credential",
        "sys_auth_scope",
    ],
)
def test_tables_with_their_own_api_cannot_be_written_even_by_administrators(name: str) -> None:
    table = get_table(name)
    with pytest.raises(AccessRefused):
        create_record(table, ROOT, {})
    with pytest.raises(AccessRefused):
        update_record(table, ROOT, "a" * 32, {})
    with pytest.raises(AccessRefused):
        delete_record(table, ROOT, "a" * 32)


@pytest.mark.parametrize("name", sorted(name for name in TABLES if TABLES[name].access.create not in (ANYONE, NOBODY)))
def test_plain_users_create_nothing(name: str) -> None:
    with pytest.raises(AccessRefused):
        create_record(get_table(name), caller("ann"), {})


def test_every_reference_names_its_table() -> None:
    loose = {"cmn_department", "core_company", "cmn_location", "ast_contract", "cmn_skill"}
    for table in TABLES.values():
        for entry in table.entries.values():
            if entry.kind in ("reference", "glide_list"):
                assert find_table(entry.reference or "") or entry.reference in loose, (table.name, entry.label)


def test_every_table_has_a_name_for_its_records() -> None:
    for table in TABLES.values():
        assert table.display_field in table.columns, table.name


def test_a_class_comes_before_its_parent() -> None:
    assert [table.name for table in lineage_of(get_table("change_task"))] == ["change_task", "task"]
    assert [table.name for table in lineage_of(get_table("sys_user"))] == ["sys_user"]


def test_a_table_that_is_not_served_is_unknown() -> None:
    assert find_table("oauth_requestor") is None
    with pytest.raises(TableUnknown):
        get_table("sys_attachment_doc")


def test_a_manager_leads_the_user_who_is_gone() -> None:
    tom = caller("tom")
    ann = create(ROOT, "sys_user", user_name="ann", manager="tom")
    delete_record(get_table("sys_user"), ROOT, tom.sys_id)
    assert db.session.execute(select(SysUser.manager).where(SysUser.sys_id == ann)).scalar_one() is None


@pytest.mark.parametrize("name", sorted(name for name, table in TABLES.items() if isinstance(table, View)))
def test_a_view_is_filtered_sorted_and_grouped_by_each_of_its_columns(name: str) -> None:
    table, shape = get_table(name), Shape("", fields=("sys_id",))
    for column in table.columns:
        for text in (f"{column}ISEMPTY", f"{column}ISNOTEMPTY", f"{column}!=1", f"ORDERBY{column}"):
            page = read_page(table, ROOT, parse_encoded_query(text), shape, limit=1, offset=0)
            assert page.total == 0, text
        assert aggregate_records(table, ROOT, ALL, Aggregation(counts=True, group_by=(column,))) == []
