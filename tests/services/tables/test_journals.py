"""Journals on both databases: docs/reference/change-records.md#journals."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.extensions import db
from changegate.models import SysJournalField
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.journals import find_journal_texts
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.people import ROOT
from tests.support.statements import counted_statements

GHOST = Caller("0" * 32, "ghost", Permissions(frozenset({"admin"})))
CHANGES = get_table("change_request")
NOTES = {"work_notes": ("work_notes",)}
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def created(**fields: Any) -> str:
    return str(create_record(CHANGES, ROOT, fields)["sys_id"])


def entries(sys_id: str) -> list[tuple[str, ...]]:
    columns = SysJournalField.__table__.c
    chosen = (columns[name] for name in ("name", "element", "value", "sys_created_by"))
    statement = select(*chosen).where(columns["element_id"] == sys_id).order_by(columns["sys_id"])
    return [tuple(row) for row in connection().execute(statement)]


def mod_count(sys_id: str, **fields: Any) -> int:
    names = CHANGES.fields_for(ROOT.permissions)
    return int(dict(zip(names, update_record(CHANGES, ROOT, sys_id, fields), strict=True))["sys_mod_count"])


def test_adds_an_entry_with_its_author_and_never_replaces(at_work: Flask) -> None:
    sys_id = created(work_notes="first", comments={"value": "hello"})
    update_record(CHANGES, GHOST, sys_id, {"WORK_NOTES": "second"})
    assert entries(sys_id) == [
        ("change_request", "comments", "hello", "admin"),
        ("change_request", "work_notes", "first", "admin"),
        ("change_request", "work_notes", "second", "ghost"),
    ]


@pytest.mark.parametrize("blank", ["", None, " \n"])
def test_blank_text_adds_no_entry_and_counts_no_update(at_work: Flask, blank: str | None) -> None:
    sys_id = created(work_notes=blank)
    assert mod_count(sys_id, work_notes=blank, comments=blank) == 0
    assert entries(sys_id) == []


def test_an_entry_alone_counts_as_an_update(at_work: Flask) -> None:
    sys_id = created()
    assert mod_count(sys_id, work_notes="one") == 1
    assert mod_count(sys_id, work_notes="one") == 2
    assert len(entries(sys_id)) == 2


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 65537, ["x", 1], {"value": {}}])
def test_refuses_text_that_no_entry_holds_and_writes_nothing(at_work: Flask, text: Any) -> None:
    sys_id = created()
    for write in (
        lambda: update_record(CHANGES, ROOT, sys_id, {"priority": 1, "comments": text}),
        lambda: create_record(CHANGES, ROOT, {"comments": text}),
    ):
        with pytest.raises(RequestUnreadable) as refused:
            write()
        assert str(refused.value.detail).startswith("Field comments: ")
    assert mod_count(sys_id) == 0


def test_fields_that_only_show_entries_accept_no_entries(at_work: Flask) -> None:
    sys_id = created(comments_and_work_notes="x", approval_history="y")
    assert entries(sys_id) == []


def test_shows_entries_newest_first_with_time_author_and_kind(at_work: Flask) -> None:
    sys_id = created(work_notes="one\nline")
    update_record(CHANGES, GHOST, sys_id, {"comments": "hello"})
    update_record(CHANGES, GHOST, sys_id, {"work_notes": "two"})
    db.session.commit()
    texts = find_journal_texts(CHANGES, [sys_id], {**NOTES, "comments": ("comments",), **CHANGES.journal_views})
    first, second, comment = (
        "System Administrator (Work notes)\none\nline\n\n",
        "ghost (Work notes)\ntwo\n\n",
        "ghost (Additional comments)\nhello\n\n",
    )
    assert {field: re.sub(rf"(?m)^{STAMP} - ", "", text) for (_, field), text in texts.items()} == {
        "work_notes": second + first,
        "comments": comment,
        "comments_and_work_notes": second + comment + first,
    }
    assert {key for key, _ in texts} == {sys_id}
    assert re.match(rf"{STAMP} - ghost", texts[sys_id, "work_notes"])


def test_many_entries_of_one_second_keep_their_order(at_work: Flask) -> None:
    sys_id = created()
    for turn in range(30):
        update_record(CHANGES, ROOT, sys_id, {"work_notes": f"{turn}"})
    text = find_journal_texts(CHANGES, [sys_id], NOTES)[sys_id, "work_notes"]
    assert [int(number) for number in re.findall(r"(?m)^(\d+)$", text)] == list(reversed(range(30)))


def test_reads_the_journals_of_many_records_in_one_statement(at_work: Flask) -> None:
    sys_ids = [created(work_notes=f"note {turn}", comments="c") for turn in range(20)]
    with counted_statements() as statements:
        texts = find_journal_texts(CHANGES, sys_ids, {**NOTES, "comments": ("comments",)})
    assert len(statements) == 1
    assert len(texts) == 40
    with counted_statements() as statements:
        assert find_journal_texts(CHANGES, [], NOTES) == find_journal_texts(CHANGES, sys_ids, {}) == {}
    assert statements == []


def test_a_parent_table_shows_the_entries_of_its_classes(at_work: Flask) -> None:
    sys_id = created(work_notes="seen")
    assert "seen" in find_journal_texts(get_table("task"), [sys_id], NOTES)[sys_id, "work_notes"]
    assert find_journal_texts(get_table("change_task"), [sys_id], NOTES) == {}


def test_entries_go_with_their_record(at_work: Flask) -> None:
    gone, kept = created(work_notes="x"), created(work_notes="y")
    delete_record(CHANGES, ROOT, gone)
    assert entries(gone) == []
    assert len(entries(kept)) == 1


def test_a_write_without_entries_asks_nothing_of_journals(at_work: Flask) -> None:
    with counted_statements() as statements:
        sys_id = created(short_description="x")
        mod_count(sys_id, short_description="y")
    assert not [text for text in statements if "sys_journal_field" in text]
