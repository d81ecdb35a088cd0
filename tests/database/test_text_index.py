"""Text searches find the same records as a comparison of every row, whatever the index contains already."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, insert, text, update

from changegate.database import commit, connection, rollback, trigrams
from changegate.database import text_index as text_index_module
from changegate.database.compiled import CompiledSelects
from changegate.database.text_index import TextIndex, find_text_index
from changegate.models import ChangeRequest, SysUser, Task
from changegate.models.base import new_sys_id
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, expand_roles
from changegate.services.catalog import TABLES
from changegate.services.tables.queries import words
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.queries.query_measure import MAX_LOOKUPS
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.registry import get_table
from changegate.services.tables.upkeep import index_texts
from tests.support.people import ADMIN, ROOT
from tests.support.queries import find, statement_of

pytestmark = pytest.mark.usefixtures("either_app_context")
WORD = "123TEXTQUERY321="
AGENT = Caller("a" * 32, "agent", Permissions(expand_roles("itil")))


def add(description: str, **fields: Any) -> str:
    sys_id = new_sys_id()
    numbered = {"number": f"T{sys_id[:20].upper()}", "sys_class_name": "change_request", "state": -5}
    values = {"sys_id": sys_id, "short_description": description, **numbered, **fields}
    connection().execute(insert(ChangeRequest.__table__), values)
    commit()
    return sys_id


def index_all() -> None:
    while index_texts(None):  # type: ignore[arg-type]
        commit()
    commit()


def pending() -> int:
    """Return how many records wait to be indexed; PostgreSQL indexes each at once."""
    if connection().dialect.name != "sqlite":
        return 0
    last = "SELECT task.rowid FROM task JOIN task_text_last USING (sys_id)"
    new = f"SELECT count(*) FROM task WHERE rowid > coalesce(({last}), 0)"
    return int(connection().execute(text(f"SELECT ({new}) + (SELECT count(*) FROM task_text_pending)")).scalar_one())


FRAGMENTS = ("Firewall", "FIREWALL", "wall r", 'a "quoted" text', "100%", "a_b", "größe", "日本語テ", "fi", "xyz" * 30)
QUERIES = [f"short_description{sign}{text}" for text in FRAGMENTS for sign in ("LIKE", "STARTSWITH", "ENDSWITH")]
QUERIES += [f"{WORD}{text}" for text in FRAGMENTS]
QUERIES += ["short_descriptionNOT LIKEwall", "short_descriptionLIKEwall^ORdescriptionLIKEtext", f"{WORD}wall rule"]
DESCRIPTIONS = (
    *("Firewall rule", "the firewall", "FIREWALL RULES", 'has a "quoted" text', "100% done", "1000 done", "a_b", "axb"),
    *("Größe", "größe", "日本語テキスト", "fi", "", "xyz" * 30, "xyz" * 29),
)


@pytest.mark.parametrize("few", [0, 200], ids=["found", "compared"])
@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_search_finds_what_a_comparison_of_every_row_finds(
    monkeypatch: pytest.MonkeyPatch, is_indexed: bool, few: int
) -> None:
    monkeypatch.setattr(trigrams, "FEW_DOCUMENTS", few)
    for description in DESCRIPTIONS:
        add(description)
    if is_indexed:
        index_all()
    assert (pending() == 0) is (is_indexed or connection().dialect.name == "postgresql")
    found = {query: sorted(find(query)) for query in QUERIES}
    monkeypatch.delitem(Task.__table__.info, "text_index")
    assert found == {query: sorted(find(query)) for query in QUERIES}
    assert found[f"{WORD}wall rule"] == ["FIREWALL RULES", "Firewall rule"]


BEGINNINGS = {
    "FIREWALL": ["FIREWALL RULES", "Firewall rule"],
    "100%": ["100% done"],
    "a_b": ["a_b"],
    "größe": ["Größe", "größe"],
    "日": ["日本語テキスト"],
    "fi": ["FIREWALL RULES", "Firewall rule", "fi"],
    'has a "q': ['has a "quoted" text'],
    "xyz" * 30: ["xyz" * 30],
    "last": ["last\U0010ffff"],
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_beginnings_of_texts_ignore_case_and_have_no_wildcards(beginning: str) -> None:
    for description in (*DESCRIPTIONS, "last\U0010ffff"):
        add(description)
    assert sorted(find(f"short_descriptionSTARTSWITH{beginning}")) == BEGINNINGS[beginning]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQLite looks up whole fragments, as it does with more records."""
    index = find_text_index(Task.__table__)
    assert index is not None
    monkeypatch.setattr(trigrams, "FEW_DOCUMENTS", 0)
    index._counts.clear()
    yield
    index._counts.clear()


def page(query: str, caller: Caller = ROOT) -> list[str]:
    """Return the sys_ids of the changes that a query finds, of which each is counted once."""
    matching = Matching(get_table("change_request"), caller, parse_encoded_query(query))
    found, total = matching.list_and_count(10, 0)
    assert total == matching.count() == len(found.sys_ids) == len({*found.sys_ids})
    return found.sys_ids


@pytest.mark.usefixtures("exact")
def test_a_fragment_that_many_records_contain_is_found_in_its_columns() -> None:
    """Without a comparison, which distinguishes letters that FTS5 takes for k and s."""
    words_ = ["to PATCH it", "pat ch", "pa", "\N{KELVIN SIGN}ernel", "k\N{LATIN SMALL LETTER LONG S}ernel", "kernel"]
    added = {word: add(word) for word in words_}
    beside = add("other", close_notes="a dispatcher", source_email="patcher@example.com")
    add("a task to patch", sys_class_name="change_task")
    for _ in range(2):
        assert {*page(f"{WORD}patch")} == {added["to PATCH it"], beside}
        assert page(f"{WORD}patch^ORDERBYnumber") == sorted([added["to PATCH it"], beside])
        assert page("short_descriptionLIKEpatch^ORDERBYDESCsys_created_on") == [added["to PATCH it"]]
        assert page(f"{WORD}patcher") == [beside]
        assert page(f"{WORD}patcher@", AGENT) == []
        assert page("short_descriptionLIKEpatch^active=false") == []
        # PostgreSQL folds letters as its locale does.
        if connection().dialect.name == "sqlite":
            assert page("short_descriptionLIKEkernel") == [added["kernel"]]
            assert page("short_descriptionLIKE\N{KELVIN SIGN}ern") == [added["\N{KELVIN SIGN}ernel"]]
        index_all()


@pytest.mark.usefixtures("exact")
def test_a_record_that_is_not_indexed_with_its_current_values_is_compared() -> None:
    changed, deleted, moved, kept = (add(f"patch {name}") for name in ("changed", "deleted", "moved", "kept"))
    index_all()
    tasks = Task.__table__
    connection().execute(update(tasks).where(Task.sys_id == changed).values(short_description="pat ch"))
    connection().execute(delete(tasks).where(Task.sys_id == deleted))
    connection().execute(
        update(tasks).where(Task.sys_id == moved).values(sys_created_on=datetime(1999, 1, 1, tzinfo=UTC))
    )
    commit()
    new = add("patch new")
    connection().execute(update(tasks).where(Task.sys_id == new).values(short_description="newest patch"))
    commit()
    for _ in range(2):
        found = page(f"{WORD}patch^ORDERBYsys_created_on")
        assert (found[0], {*found}) == (moved, {moved, kept, new})
        index_all()


@pytest.mark.usefixtures("exact")
def test_a_record_that_an_older_version_indexed_is_compared_and_indexed_again() -> None:
    if connection().dialect.name != "sqlite":
        return
    sys_id = add("to patch it")
    index_all()
    statements = ("UPDATE task_text_document SET sys_class_name = NULL", "DELETE FROM task_text")
    texts = "INSERT INTO task_text (rowid, text) SELECT document, 'to patch it' FROM task_text_document"
    for statement in (*statements, texts):
        connection().exec_driver_sql(statement)
    commit()
    for _ in range(2):
        assert page(f"{WORD}patch") == [sys_id]
        index_all()
    copied = connection().exec_driver_sql("SELECT count(sys_class_name) FROM task_text_document").scalar_one()
    assert copied == 1


def test_changes_of_indexed_records_are_found_at_once() -> None:
    changed, deleted = add("before the change"), add("before it is deleted")
    index_all()
    connection().execute(update(Task.__table__).where(Task.sys_id == changed).values(short_description="afterwards"))
    connection().execute(delete(Task.__table__).where(Task.sys_id == deleted))
    commit()
    for _ in range(2):
        assert (find("short_descriptionLIKEbefore"), find("short_descriptionLIKEafterw")) == ([], ["afterwards"])
        index_all()


def test_a_write_that_is_rolled_back_leaves_the_index_as_it_was() -> None:
    sys_id = add("stays as it is")
    index_all()
    connection().execute(update(Task.__table__).where(Task.sys_id == sys_id).values(short_description="is gone"))
    rollback()
    assert (find("short_descriptionLIKEstays"), find("short_descriptionLIKEgone")) == (["stays as it is"], [])
    assert pending() == 0


def test_a_sys_id_that_is_used_again_has_its_new_text() -> None:
    sys_id = add("the first one")
    index_all()
    connection().execute(delete(Task.__table__).where(Task.sys_id == sys_id))
    add("the second one", sys_id=sys_id)
    for _ in range(2):
        assert (find("short_descriptionLIKEfirst"), find("short_descriptionLIKEsecond")) == ([], ["the second one"])
        index_all()


def test_records_after_a_deleted_one_are_indexed() -> None:
    sys_ids = [add(f"number {number}") for number in range(4)]
    index_all()
    for deleted in (sys_ids[3], sys_ids[1]):
        connection().execute(delete(Task.__table__).where(Task.sys_id == deleted))
    commit()
    assert pending() == 0
    if connection().dialect.name == "sqlite":
        # It gives other rowids to the records.
        connection().exec_driver_sql("VACUUM")
    add("number 4")
    for _ in range(2):
        assert sorted(find("short_descriptionLIKEnumber")) == ["number 0", "number 2", "number 4"]
        index_all()


def test_entries_of_earlier_texts_are_deleted() -> None:
    if connection().dialect.name != "sqlite":
        return
    changed, deleted = add("edit number 0"), add("to be deleted")
    for number in range(1, 6):
        index_all()
        values = {"short_description": f"edit number {number}"}
        connection().execute(update(Task.__table__).where(Task.sys_id == changed).values(values))
        commit()
    index_all()
    connection().execute(delete(Task.__table__).where(Task.sys_id == deleted))
    commit()
    entries = "SELECT count(*) FROM task_text WHERE task_text MATCH '\"{}\"'"
    found = [connection().exec_driver_sql(entries.format(fragment)).scalar_one() for fragment in ("edit", "deleted")]
    assert found == ([1, 0] if sqlite3.sqlite_version_info >= (3, 43) else [6, 1])


def test_of_long_texts_fewer_are_indexed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other writers wait for the index on SQLite: for a thousand records with the longest texts, a minute."""
    if connection().dialect.name != "sqlite":
        return
    monkeypatch.setattr(text_index_module, "CHARACTERS_AT_ONCE", 400)
    for length in (150, 150, 500, 10):
        add("x" * length)
    left = []
    while index_texts(None):  # type: ignore[arg-type]
        left.append(pending())
    assert left == [2, 1]
    assert pending() == 0


def test_a_record_that_is_created_and_changed_is_indexed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index_module, "TEXTS_AT_ONCE", 2)
    sys_ids = [add(f"one of five: {number}") for number in range(5)]
    for sys_id in (sys_ids[4], sys_ids[2]):
        connection().execute(update(Task.__table__).where(Task.sys_id == sys_id).values(short_description="changed"))
    commit()
    index_all()
    assert (pending(), len(find("short_descriptionLIKEof five"))) == (0, 3)
    assert find("short_descriptionLIKEchanged") == ["changed", "changed"]


def test_records_are_indexed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index_module, "TEXTS_AT_ONCE", 2)
    for number in range(5):
        add(f"one of five: {number}")
    index_all()
    assert (pending(), len(find("short_descriptionLIKEof five"))) == (0, 5)


@pytest.mark.parametrize("most", [0, 2000], ids=["joined", "listed"])
def test_a_name_is_found_in_every_reference_to_its_user(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(words, "MOST_USERS_LISTED", most)
    # The statement contains the number, so other tests must not find it in the cache.
    monkeypatch.setattr(words, "_named_users", CompiledSelects(1))
    connection().execute(insert(SysUser.__table__), {"sys_id": "a" * 32, "user_name": "olga", "name": "Olga Ek"})
    add("of Olga", assigned_to="a" * 32)
    add("closed", closed_by="a" * 32)
    add("of another", assigned_to=ADMIN)
    index_all()
    assert sorted(find(f"{WORD}olga")) == ["closed", "of Olga"]
    assert find(f"{WORD}olga closed") == ["closed"]
    assert ("JOIN sys_user" in str(statement_of(f"{WORD}olga", shown="sys_id"))) is (most == 0)


def test_the_word_with_the_fewest_records_is_looked_up_first() -> None:
    for number in range(5):
        add(f"patch srv-00{number}")
    add("restart srv-00417")
    index_all()
    index = find_text_index(Task.__table__)
    assert index is not None
    forget_counts(index)
    words_ = {"sr": 0, "olga": 3, "patch": 0, "srv-00417": 0}
    # PostgreSQL has no statistics of so few rows.
    is_sqlite = connection().dialect.name == "sqlite"
    rare = ["srv-00417", "patch"] if is_sqlite else ["patch", "srv-00417"]
    assert index.sort_by_records(words_) == [*rare, "olga", "sr"]
    assert find(f"{WORD}restart srv-00417 sr") == ["restart srv-00417"]


def test_a_record_with_several_people_of_a_name_is_counted_once() -> None:
    for letter in "ab":
        values = {"sys_id": letter * 32, "user_name": f"olga.{letter}", "name": f"Olga {letter}"}
        connection().execute(insert(SysUser.__table__), values)
    both = add("of Olga, by Olga", assigned_to="a" * 32, requested_by="b" * 32)
    add("closed", closed_by="a" * 32)
    index_all()
    matching = Matching(get_table("change_request"), ROOT, parse_encoded_query(f"{WORD}olga"))
    page, total = matching.list_and_count(10, 0)
    assert (both in page.sys_ids, len(page.sys_ids), total, matching.count()) == (True, 2, 2, 2)


@pytest.mark.parametrize("most", [0, 2000], ids=["compared", "listed"])
def test_each_word_is_a_text_or_a_name(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Further words are compared with the texts of records that have the first, or are first checked in the index."""
    monkeypatch.setattr(text_index_module, "FEW_CANDIDATES", most)
    for letter, name in (("a", "Olga Ek"), ("b", "Olga Berg"), ("c", "Tove Ek")):
        login = f"user.{letter}"
        connection().execute(insert(SysUser.__table__), {"sys_id": letter * 32, "user_name": login, "name": name})
    add("olga ek in the text")
    add("by one", assigned_to="a" * 32)
    add("by two", assigned_to="b" * 32, opened_by="c" * 32)
    add("of ek", assigned_to="b" * 32)
    add("of another", assigned_to="b" * 32, opened_by=ADMIN)
    for _ in range(2):
        assert sorted(find(f"{WORD}olga ek")) == ["by one", "by two", "of ek", "olga ek in the text"]
        index_all()


@pytest.fixture
def at_most_three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    index = find_text_index(Task.__table__)
    assert index is not None
    monkeypatch.setattr(text_index_module, "MOST_CANDIDATES", 3)
    forget_counts(index)
    yield
    monkeypatch.undo()
    forget_counts(index)


def forget_counts(index: TextIndex) -> None:
    vars(index).pop("_counted", None)
    index._counts.clear()


@pytest.mark.usefixtures("at_most_three")
def test_rows_are_compared_if_there_are_too_many_candidates() -> None:
    for number in range(5):
        add(f"one of five: {number}")
    index_all()
    assert len(find("short_descriptionLIKEof five")) == 5
    has_index = connection().dialect.name == "postgresql"
    assert ("MATCH" in str(statement_of("short_descriptionLIKEof five", shown="sys_id"))) is False
    assert ("MATCH" in str(statement_of("short_descriptionLIKEof seven", shown="sys_id"))) is not has_index


@pytest.mark.usefixtures("at_most_three")
def test_entries_of_earlier_texts_hide_no_record() -> None:
    sys_id = add("edit number 0")
    for number in range(1, 6):
        index_all()
        values = {"short_description": f"edit number {number}"}
        connection().execute(update(Task.__table__).where(Task.sys_id == sys_id).values(values))
        commit()
    index_all()
    assert find("short_descriptionLIKEedit number") == ["edit number 5"]


@pytest.mark.parametrize(("condition", "count"), [("short_descriptionLIKErule {}", 40), (f"{WORD}rule {{}}", 18)])
def test_a_query_looks_up_few_fragments(monkeypatch: pytest.MonkeyPatch, condition: str, count: int) -> None:
    """The candidates of all would fill the memory."""
    add("rule 15")
    index_all()
    index = find_text_index(Task.__table__)
    assert index is not None
    fragments = []
    monkeypatch.setattr(index, "find_matches", lambda _root, fragment, *_: fragments.append(fragment))
    assert find("^NQ".join(condition.format(number) for number in range(2, 2 + count))) == ["rule 15"]
    assert len(fragments) <= MAX_LOOKUPS
    fragments.clear()
    assert find(condition.format("15")) == ["rule 15"]
    assert fragments


def test_the_index_covers_every_text_of_a_task() -> None:
    index = find_text_index(Task.__table__)
    of_tasks = [table for table in TABLES.values() if table.source is Task.__table__]
    texts = {name for table in of_tasks for name, entry in table.entries.items() if entry.kind == "string"}
    stored = {name for name in texts if name in Task.__table__.c and not name.startswith("sys_")}
    assert index is not None
    assert set(index.names) == stored
