"""Trigram indexes: the records of a table that may contain a fragment of text.

A record with the fragment in one of the indexed columns is always a candidate. Not every candidate contains it, so a
search also compares the columns themselves. On SQLite, the index also finds whole fragments in columns; if many records
contain one, they are neither compared nor looked up.

    PostgreSQL   <table>_text, a GIN index of all texts of a row. New entries wait in a list until `index_batch`
    SQLite       <table>_text, an FTS5 index of trigrams without the texts, by numbers of documents
                 <table>_text_document, the record of each number, with the columns `COPIED`
                 <table>_text_last, the last record that was indexed: later ones, by rowid, are not
                 <table>_text_pending, the records whose texts were changed since: a trigger adds them

`index_batch` indexes new and changed records; until then, they are candidates of every search. Creating a record writes
none of these tables. VACUUM may change rowids but keeps their order, so the last record is stored by its sys_id.

To index a row takes SQLite as long as the rest of a small transaction, but in a batch a twentieth of it.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate, takewhile
from typing import Any

import orjson
from cachetools import TTLCache
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    Table,
    and_,
    column,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    table,
    union_all,
    update,
)
from sqlalchemy import text as sql

from changegate.database.alternatives import Copied
from changegate.database.dialects import is_postgres, unestimated
from changegate.database.expressions import Expression, Value
from changegate.database.listed import is_among
from changegate.database.prepared import Prepared, parameter
from changegate.database.text_estimates import TextEstimates
from changegate.database.text_search import ESCAPE, like_pattern
from changegate.database.trigrams import LENGTH, choose_trigrams
from changegate.database.unit_of_work import connection

# With more candidates, a search that reads all rows is not much slower. More documents are not counted.
MOST_CANDIDATES = 300_000
# Of further words, the texts of so few candidates are compared first. With more, it is about as fast to compare the
# texts of the records that have the first word.
FEW_CANDIDATES = 2_000
# An estimate, which only decides which word is looked up first.
RECORDS_OF_ONE_PERSON = 1000
# Indexed in one transaction, for which other writers wait: some 50 milliseconds, or 300 for texts with all trigrams.
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 1000, 300_000
COUNTS_KEPT_SECONDS = 3600.0
_INFO = "text_index"
# Columns of records that the index on SQLite contains, too, so that pages can be counted and sorted without reading the
# records.
COPIED = ("sys_class_name", "sys_created_on", "number")
# Letters outside of ASCII that FTS5 takes for k and s, and a comparison does not, are indexed as another character.
_UNFOLDED: dict[str, str | int | None] = {"\N{KELVIN SIGN}": "\ufffd", "\N{LATIN SMALL LETTER LONG S}": "\ufffd"}


class TextIndex:
    """The trigram index of the texts in the columns `names` of a table."""

    def __init__(self, of: Table, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = of
        self._index = table(f"{of.name}_text", column("rowid"), *map(column, names))
        copied = (column(name, of.c[name].type) for name in COPIED)
        self._documents = table(f"{of.name}_text_document", column("document"), column("sys_id", String), *copied)
        self._changed = table(f"{of.name}_text_pending", column("sys_id", String))
        self._last = table(f"{of.name}_text_last", column("sys_id", String))
        self._counts = TTLCache[str, int](100_000, COUNTS_KEPT_SECONDS)
        self._estimates = TextEstimates(of.name, document_of(self.names))
        self._lock = threading.Lock()
        of.info[_INFO] = self

    def find_matches(
        self, root: FromClause, fragment: str, compared: Expression, containing: Sequence[str]
    ) -> Expression | None:
        """Return the clause for the rows of `root`, the table or an alias, for which `compared` is true.

        Only rows with a fragment match. If it is enough that a column contains the fragment, `containing` has the names
        of these columns. Returns None if the index cannot be used for the fragment, or would find too many rows.
        """
        if len(fragment) < LENGTH:
            return None
        if is_postgres(connection()):
            part = self._estimates.find_rare_part(fragment)
            candidates = Expression(_has_document_like, root, self.names, like_pattern(part))
            return Expression(and_, candidates, Expression(unestimated, compared))
        lookup = choose_trigrams(fragment.translate(str.maketrans(_UNFOLDED)), self._count)
        if containing and lookup.is_exact:
            query = Value(f"{{{' '.join(containing)}}} : {lookup.query}", String)
            return Expression(_is_found, root.c["sys_id"], self, query, compared)
        if lookup.documents >= MOST_CANDIDATES:
            return None
        candidates = Expression(_is_candidate, root.c["sys_id"], self, Value(lookup.query, String))
        return Expression(and_, candidates, compared)

    def has_few_candidates(self, word: str) -> bool:
        """Return whether the texts of all candidates can be compared before other words find the rows."""
        return self._count_word(word) < FEW_CANDIDATES

    @property
    def combines_words(self) -> bool:
        """Return whether the database reads the index for several words at once; SQLite would do so row by row."""
        return is_postgres(connection())

    def select_candidates(self, query: ColumnElement[str]) -> Select[Any]:
        """Return the sys_ids of the records that a query in the language of FTS5 finds, and of those not indexed."""
        candidates = union_all(self._find(query, self._documents.c.sys_id), self.select_waiting()).subquery()
        return select(candidates.c.sys_id)

    def select_copies(self, query: ColumnElement[str]) -> Select[Any]:
        """Return the sys_ids and the `COPIED` columns of the records that a query finds, without those not indexed."""
        other = self._documents.alias("waiting")
        numbers = select(other.c.document).where(other.c.sys_id.in_(self.select_waiting()))
        columns = (self._documents.c[name] for name in ("sys_id", *COPIED))
        return self._find(query, *columns).where(self._documents.c.document.not_in(numbers))

    def select_waiting(self) -> Select[Any]:
        """Return the records that are not indexed with their current texts; one may occur twice."""
        return select(self._waiting().subquery())

    def _find(self, query: ColumnElement[str], *columns: ColumnElement[Any]) -> Select[Any]:
        is_current = self._documents.c.document == self._index.c.rowid
        return select(*columns).join_from(self._index, self._documents, is_current).where(self._matches(query))

    def sort_by_records(self, words: Mapping[str, int]) -> Sequence[str]:
        """Return words, those with the fewest records first; `words` has the number of people with each name."""
        if len(words) < 2:
            return [*words]
        return sorted(words, key=lambda word: self._count_word(word) + RECORDS_OF_ONE_PERSON * words[word])

    def index_batch(self) -> bool:
        """Index records that were written since, in the current transaction; return whether there may be more."""
        if is_postgres(connection()):
            connection().execute(sql(f"SELECT gin_clean_pending_list('{self._index.name}')"))
            return False
        waiting = connection().execute(self._waiting(TEXTS_AT_ONCE)).scalars().all()
        batch = self._limit_characters(waiting)
        if batch:
            self._index_rows(batch)
        return len(batch) < len(waiting) or len(waiting) == TEXTS_AT_ONCE

    def _limit_characters(self, sys_ids: Sequence[str]) -> Sequence[str]:
        """Return as many of the first records as have at most `CHARACTERS_AT_ONCE` in total, but at least one."""
        each = (func.coalesce(func.length(self._table.c[name]), 0) for name in self.names)
        length = sum(each, start=literal_column("0", Integer))
        measured = select(self._table.c["sys_id"], length).where(is_among(self._table.c["sys_id"], sys_ids).build())
        lengths = {row[0]: row[1] for row in connection().execute(measured)}
        ends = accumulate(lengths.get(sys_id, 0) for sys_id in sys_ids)
        fitting = sum(1 for _ in takewhile(CHARACTERS_AT_ONCE.__ge__, ends))
        return sys_ids[: max(fitting, 1)]

    def _index_rows(self, sys_ids: Sequence[str]) -> None:
        listed = select(func.json_each(orjson.dumps(sys_ids).decode()).table_valued("value").c.value)
        # The writes come first: from then on, no other transaction can change the rows.
        connection().execute(delete(self._changed).where(self._changed.c.sys_id.in_(listed)))
        self._move_last(sys_ids)
        numbers = select(self._documents.c.document).where(self._documents.c.sys_id.in_(listed))
        if self._can_forget():
            connection().execute(delete(self._index).where(self._index.c.rowid.in_(numbers)))
        # Otherwise, the entries stay, but lead to no record: a number is never used again.
        connection().execute(delete(self._documents).where(self._documents.c.sys_id.in_(listed)))
        copied = ("sys_id", *COPIED)
        records = select(*(self._table.c[name] for name in copied)).where(self._table.c["sys_id"].in_(listed))
        connection().execute(insert(self._documents).from_select(copied, records))
        columns = (_unfolded(self._table.c[name]) for name in self.names)
        texts = numbers.add_columns(*columns).join(self._table, self._table.c["sys_id"] == self._documents.c.sys_id)
        connection().execute(insert(self._index).from_select(["rowid", *self.names], texts))

    def _move_last(self, sys_ids: Sequence[str]) -> None:
        indexed = set(sys_ids)
        moved = [*takewhile(indexed.__contains__, connection().execute(self._new(TEXTS_AT_ONCE)).scalars())]
        if moved:
            connection().execute(update(self._last).values(sys_id=moved[-1]))

    def _new(self, limit: int | None) -> Select[Any]:
        """Return the records after the last one that was indexed, in the order of their creation."""
        last = self._table.alias("last_indexed")
        is_last = last.c["sys_id"] == select(self._last.c.sys_id).scalar_subquery()
        indexed = select(literal_column("last_indexed.rowid", Integer)).select_from(last).where(is_last)
        rowid = literal_column(f"{self._table.name}.rowid", Integer)
        later = rowid > func.coalesce(indexed.scalar_subquery(), 0)
        return select(self._table.c["sys_id"]).where(later).order_by(rowid).limit(limit)

    def _waiting(self, limit: int | None = None) -> Select[Any]:
        """Return the records that are not indexed with their current texts; one may occur twice."""
        changed = select(self._changed.c.sys_id).limit(limit).subquery()
        new = self._new(limit).subquery()
        # By an older version.
        uncopied = select(self._documents.c.sys_id).where(self._documents.c[COPIED[0]].is_(None))
        waiting = union_all(select(changed.c.sys_id), select(new.c.sys_id), uncopied)
        return select(waiting.subquery()).limit(limit)

    def _can_forget(self) -> bool:
        # Not with SQLite before 3.43.
        options = connection().execute(
            sql("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": self._index.name}
        )
        return "contentless_delete" in str(options.scalar())

    def _count_word(self, word: str) -> int:
        """Return about how many records have a word, or at least how many the index finds."""
        if len(word) < LENGTH:
            return MOST_CANDIDATES
        if is_postgres(connection()):
            return int(self._estimates.count(word))
        return choose_trigrams(word, self._count).documents

    def _count(self, query: str) -> int:
        """Return how many documents a query finds, at most `MOST_CANDIDATES`."""
        with self._lock:
            known: int | None = self._counts.get(query)
        if known is None:
            [(known,)] = self._counted.fetch({"fragment": query})[1]
            with self._lock:
                self._counts[query] = known
        return known

    @cached_property
    def _counted(self) -> Prepared:
        matching = select(self._index.c.rowid).where(self._matches(parameter("fragment", String)))
        limited = matching.limit(literal_column(str(MOST_CANDIDATES), Integer)).subquery()
        return Prepared(select(func.count()).select_from(limited))

    def _matches(self, query: ColumnElement[str]) -> ColumnElement[bool]:
        matches: ColumnElement[bool] = literal_column(self._index.name).op("MATCH")(query)
        return matches


def find_text_index(of: FromClause) -> TextIndex | None:
    """Return the index of a table, or None."""
    return of.info.get(_INFO) if isinstance(of, Table) else None


def document_of(names: Sequence[str], prefix: str = "") -> str:
    """Return the SQL expression of all texts of a row, as PostgreSQL indexes it."""
    texts = " || ' ' || ".join(f"coalesce({prefix}{name}, '')" for name in names)
    return f"lower({texts})"


def _has_document_like(root: Any, names: Sequence[str], pattern: ColumnElement[str]) -> ColumnElement[bool]:
    document: ColumnElement[str] = literal_column(document_of(names, f"{root.name}."), String)
    return document.like("%" + func.lower(pattern) + "%", escape=ESCAPE)


def _unfolded(text: ColumnElement[Any]) -> ColumnElement[Any]:
    for letter, other in _UNFOLDED.items():
        text = func.replace(text, letter, other)
    return text


def _is_found(
    sys_id: ColumnElement[Any], index: TextIndex, query: ColumnElement[str], compared: ColumnElement[bool]
) -> ColumnElement[bool]:
    waiting = index.select_waiting()
    is_match = and_(sys_id.in_(index.select_candidates(query)), or_(sys_id.not_in(waiting), compared))
    return Copied(is_match, index.select_copies(query), and_(sys_id.in_(waiting), compared))


def _is_candidate(column: ColumnElement[Any], index: TextIndex, query: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(index.select_candidates(query))
