"""sys_db_object, sys_dictionary, and the shipped choices: the registry as records."""

from typing import Any

import pytest
from sqlalchemy import select, update

from changegate.database import connection
from changegate.models import SysChoice, SysDbObject, SysDictionary
from changegate.services.catalog import TABLES
from changegate.services.catalog.shipped_choices import add_shipped_choices
from changegate.services.tables.choices import find_choices
from changegate.services.tables.dictionary import refresh_dictionary, sys_id_of
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("either_app_context")


def rows_of(model: type[Any], **wanted: str) -> list[Any]:
    table = model.__table__
    found = connection().execute(select(table).filter_by(**wanted))
    return sorted(found, key=lambda row: str(row.sys_id))


def field(table: str, element: str) -> Any:
    [row] = rows_of(SysDictionary, name=table, element=element)
    return row


def test_every_served_table_is_described() -> None:
    assert {row.name: row.label for row in rows_of(SysDbObject)} == {
        table.name: table.label for table in TABLES.values()
    }


def test_classes_have_the_table_that_they_extend() -> None:
    parents = {row.name: row.super_class for row in rows_of(SysDbObject)}
    assert parents["change_request"] == parents["change_task"] == sys_id_of("task")
    assert parents["cmdb_ci_server"] == sys_id_of("cmdb_ci")
    assert parents["task"] is parents["sys_user"] is None
    extended = {row.name for row in rows_of(SysDbObject) if row.is_extendable}
    assert extended == {"cmdb_ci", "cmn_schedule", "sttrm_model", "task"}


def test_a_field_is_described_where_it_is_declared() -> None:
    assert field("task", "short_description").max_length == 160
    assert rows_of(SysDictionary, name="change_request", element="short_description") == []
    risk = field("change_request", "risk")
    assert (risk.internal_type, risk.choice, risk.column_label) == ("integer", 1, "Risk")
    assert field("change_task", "change_request").reference == "change_request"


def test_every_field_that_a_table_shows_can_be_looked_up() -> None:
    described = {(row.name, row.element) for row in rows_of(SysDictionary)}
    for table in TABLES.values():
        names = {table.name, table.extends}
        missing = [name for name in table.columns if not any((owner, name) in described for owner in names)]
        assert not missing, table.name


def test_what_must_be_given_is_mandatory_and_no_more() -> None:
    mandatory = {(row.name, row.element) for row in rows_of(SysDictionary) if row.mandatory}
    assert {("sys_user", "user_name"), ("task_ci", "task"), ("cmdb_ci", "name")} <= mandatory
    assert mandatory.isdisjoint({("task", "state"), ("task", "number"), ("sys_user", "name"), ("task", "active")})


def test_describes_unique_primary_and_display_fields() -> None:
    assert (field("task", "sys_id").primary, field("task", "sys_id").unique) == (True, True)
    assert (field("task", "number").unique, field("task", "number").display) == (True, True)
    assert (field("task", "priority").unique, field("task", "priority").default_value) == (False, "4")
    assert field("sys_choice", "name").unique is False


def test_journals_are_described_once() -> None:
    assert {row.name for row in rows_of(SysDictionary) if row.internal_type == "journal_input"} == {"task"}


def test_secrets_are_described_only_where_they_can_be_written() -> None:
    assert field("sys_user", "user_password").internal_type == "password"
    assert not [
        row for row in rows_of(SysDictionary, name="oauth_entity") if "secret" in row.element and row.max_length == 64
    ]


def test_a_row_that_has_gone_wrong_is_set_right_and_others_are_left_alone() -> None:
    right, wrong = field("task", "state"), field("task", "active")
    table = SysDictionary.__table__
    connection().execute(update(table).where(table.c.sys_id == wrong.sys_id).values(column_label="Wrong"))
    connection().execute(update(table).where(table.c.element == "urgency").values(sys_id="0" * 32, element="gone"))
    refresh_dictionary()
    assert (field("task", "active").column_label, field("task", "active").sys_mod_count) == ("Active", 1)
    assert field("task", "state") == right
    assert rows_of(SysDictionary, element="gone") == []
    assert field("task", "urgency").column_label == "Urgency"


def test_missing_rows_of_a_table_are_added_by_one_statement() -> None:
    tables = [model.__table__ for model in (SysDbObject, SysDictionary)]
    before = [connection().execute(select(table.c.sys_id).order_by(table.c.sys_id)).all() for table in tables]
    for table in tables:
        connection().execute(table.delete())
    with counted_statements() as statements:
        refresh_dictionary()
    assert [text.split()[0] for text in statements] == ["SELECT", "INSERT"] * 2
    assert before == [connection().execute(select(table.c.sys_id).order_by(table.c.sys_id)).all() for table in tables]


def test_classes_have_choices_of_their_own() -> None:
    assert find_choices("change_request", ["state"])["state"]["-5"] == "New"
    assert find_choices("change_task", ["state"])["state"]["-5"] == "Pending"
    assert find_choices("task", ["state"])["state"]["-1"] == "Implement"
    assert list(find_choices("change_task", ["state"])["state"]) == ["-5", "1", "2", "3", "4"]


def test_a_class_without_own_choices_has_those_of_its_parent() -> None:
    found = find_choices("change_request", ["priority", "risk", "short_description", "unheard_of"])
    assert found["priority"]["4"] == "4 - Low"
    assert found["risk"]["4"] == "Low"
    assert found.keys() == {"priority", "risk"}


def test_nothing_asked_is_nothing_found() -> None:
    assert find_choices("task", []) == {}


def test_an_inactive_choice_is_read_and_not_chosen() -> None:
    choices = SysChoice.__table__
    is_chat = (choices.c.element == "contact_type", choices.c.value == "chat")
    connection().execute(update(choices).where(*is_chat).values(inactive=True))
    assert "chat" in find_choices("change_request", ["contact_type"])["contact_type"]
    assert "chat" not in find_choices("change_request", ["contact_type"], active_only=True)["contact_type"]


def test_a_field_with_only_inactive_choices_offers_none() -> None:
    choices = SysChoice.__table__
    connection().execute(update(choices).where(choices.c.element == "contact_type").values(inactive=True))
    assert find_choices("task", ["contact_type"], active_only=True) == {"contact_type": {}}


def test_without_rows_the_dictionary_s_choices_hold() -> None:
    connection().execute(SysChoice.__table__.delete())
    assert find_choices("task", ["contact_type"])["contact_type"]["web"] == "Web"


def test_an_administrators_edits_of_choices_are_kept() -> None:
    choices = SysChoice.__table__
    connection().execute(update(choices).where(choices.c.value == "web").values(label="Portal"))
    connection().execute(choices.delete().where(choices.c.value == "chat"))
    add_shipped_choices()
    found = find_choices("task", ["contact_type"])["contact_type"]
    assert (found["web"], found["chat"]) == ("Portal", "Chat")
