"""Trigram indexes: the records of a table that may contain a fragment of text.

A record with the fragment in one of the indexed columns is always a candidate. Not every candidate contains it, so a
search also compares the columns themselves.

    PostgreSQL   <table>_text, a GIN index of all texts of a row. New entries wait in a list until `index_batch`
    SQLite       <table>_text, an FTS5 index of trigrams without the texts, by numbers of documents
                 <table>_text_document, the record of each number
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

from changegate.database.dialects import is_postgres
from changegate.database.expressions import Expression, Value
from changegate.database.prepared import Prepared, parameter
from changegate.database.text_search import ESCAPE, like_pattern
from changegate.database.unit_of_work import connection

SHORTEST_INDEXED = 3
# With more candidates, a search that reads all rows is not much slower.
MOST_CANDIDATES = 50_000
# Trigrams with at least as many documents count as equally frequent.
MOST_COUNTED = 30_000
MOST_COMPARED_TRIGRAMS = 24
# The rarest trigram of a fragment is looked up with its neighbors. To look up the others, too, takes longer than to
# compare a few more records.
RARE, LOOKED_UP, LOOKED_UP_IF_FREQUENT, MOST_COMPARED = 1_000, 5, 15, 2_000
# Indexed in one transaction, for which other writers wait: some 50 milliseconds, or 300 for texts with all trigrams.
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 1000, 300_000
FREQUENCIES_KEPT_SECONDS = 3600.0
_INFO = "text_index"


class TextIndex:
    """The trigram index of the texts in the columns `names` of a table."""

    def __init__(self, of: Table, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = of
        self._index = table(f"{of.name}_text", column("rowid"), column("text"))
        self._documents = table(f"{of.name}_text_document", column("document"), column("sys_id", String))
        self._changed = table(f"{of.name}_text_pending", column("sys_id", String))
        self._last = table(f"{of.name}_text_last", column("sys_id", String))
        self._frequencies = TTLCache[str, int](100_000, FREQUENCIES_KEPT_SECONDS)
        self._lock = threading.Lock()
        of.info[_INFO] = self

    def find_candidates(
        self, root: FromClause, fragment: str, referring: Mapping[str, Sequence[str]] | None = None
    ) -> Expression | None:
        """Return the clause for the rows of `root` that may contain a fragment, or that refer to certain records.

        `root` is the table or an alias, and `referring` has the sys_ids of the records by column. Returns None if the
        index cannot be used for the fragment, or would find too many rows.
        """
        if len(fragment) < SHORTEST_INDEXED:
            return None
        references = {name: sys_ids for name, sys_ids in (referring or {}).items() if sys_ids}
        if is_postgres(connection()):
            found = Expression(_has_document_like, root, self.names, like_pattern(fragment))
            referred = [is_among(root.c[name], values) for name, values in references.items()]
            return Expression(or_, found, *referred) if referred else found
        sys_ids = [row[0] for row in self._found.fetch({"fragment": _quoted(self._rarest_part(fragment))})[1]]
        if references and len(sys_ids) < MOST_CANDIDATES:
            sys_ids += connection().execute(self._referring(references)).scalars()
        if len(sys_ids) >= MOST_CANDIDATES:
            return None
        return is_among(root.c["sys_id"], sys_ids)

    def choose_narrowest(self, fragments: Sequence[str]) -> Sequence[str]:
        """Return the fragments to look up, of those that a record must all contain."""
        fragments = [fragment for fragment in fragments if len(fragment) >= SHORTEST_INDEXED]
        # PostgreSQL intersects the records of all. On SQLite, those with the rarest trigram are compared with the rest.
        return fragments if is_postgres(connection()) else sorted(fragments, key=self._find_rarest)[:1]

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
        """Return the first records with not too many characters together, but at least one."""
        length = func.length(self._text, type_=Integer)
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
        records = select(self._table.c["sys_id"]).where(self._table.c["sys_id"].in_(listed))
        connection().execute(insert(self._documents).from_select(["sys_id"], records))
        texts = numbers.add_columns(self._text).join(self._table, self._table.c["sys_id"] == self._documents.c.sys_id)
        connection().execute(insert(self._index).from_select(["rowid", "text"], texts))

    @cached_property
    def _text(self) -> ColumnElement[str]:
        lines = (f"coalesce({self._table.name}.{name} || char(10), '')" for name in self.names)
        return literal_column(" || ".join(lines), String)

    def _move_last(self, sys_ids: Sequence[str]) -> None:
        indexed = set(sys_ids)
        moved = [*takewhile(indexed.__contains__, connection().execute(self._new(TEXTS_AT_ONCE)).scalars())]
        if moved:
            connection().execute(update(self._last).values(sys_id=moved[-1]))

    def _new(self, limit: int) -> Select[Any]:
        """Return the records after the last one that was indexed, in the order of their creation."""
        last = self._table.alias("last_indexed")
        is_last = last.c["sys_id"] == select(self._last.c.sys_id).scalar_subquery()
        indexed = select(literal_column("last_indexed.rowid", Integer)).select_from(last).where(is_last)
        rowid = literal_column(f"{self._table.name}.rowid", Integer)
        later = rowid > func.coalesce(indexed.scalar_subquery(), 0)
        return select(self._table.c["sys_id"]).where(later).order_by(rowid).limit(limit)

    def _waiting(self, limit: int) -> Select[Any]:
        """Return the records that are not indexed with their current texts; one may occur twice."""
        changed = select(self._changed.c.sys_id).limit(limit).subquery()
        new = self._new(limit).subquery()
        return select(union_all(select(changed.c.sys_id), select(new.c.sys_id)).subquery()).limit(limit)

    def _can_forget(self) -> bool:
        # Not with SQLite before 3.43.
        options = connection().execute(
            sql("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": self._index.name}
        )
        return "contentless_delete" in str(options.scalar())

    def _find_rarest(self, fragment: str) -> tuple[int, int]:
        """Return how many documents have the rarest trigram of a fragment, and where it begins."""
        last = len(fragment) - SHORTEST_INDEXED
        count = min(last + 1, MOST_COMPARED_TRIGRAMS)
        starts = {last * at // max(count - 1, 1) for at in range(count)}
        return min((self._frequency_at(fragment, at), at) for at in starts)

    def _rarest_part(self, fragment: str) -> str:
        """Return the part of a fragment to look up: its rarest trigram with neighbors.

        Frequent neighbors are only among them if too many documents have the others.
        """
        part = self._widen(fragment, MOST_COUNTED - 1)
        return part if self._frequency(part) <= MOST_COMPARED else self._widen(fragment, MOST_COUNTED)

    def _widen(self, fragment: str, most: int) -> str:
        """Return the rarest trigram of a fragment with the neighbors that at most so many documents have."""
        frequency, first = self._find_rarest(fragment)
        last, longest = first, LOOKED_UP if frequency < RARE else LOOKED_UP_IF_FREQUENT
        while last - first < longest - SHORTEST_INDEXED:
            beside = [at for at in (first - 1, last + 1) if 0 <= at <= len(fragment) - SHORTEST_INDEXED]
            rarest, at = min(((self._frequency_at(fragment, at), at) for at in beside), default=(most + 1, 0))
            if rarest > most:
                break
            first, last = min(first, at), max(last, at)
        return fragment[first : last + SHORTEST_INDEXED]

    def _frequency_at(self, fragment: str, at: int) -> int:
        return self._frequency(fragment[at : at + SHORTEST_INDEXED])

    def _frequency(self, trigram: str) -> int:
        with self._lock:
            known: int | None = self._frequencies.get(trigram)
        if known is None:
            [(known,)] = self._counted.fetch({"fragment": _quoted(trigram)})[1]
            with self._lock:
                self._frequencies[trigram] = known
        return known

    @cached_property
    def _counted(self) -> Prepared:
        matching = select(self._index.c.rowid).where(self._matches())
        limited = matching.limit(literal_column(str(MOST_COUNTED), Integer)).subquery()
        return Prepared(select(func.count()).select_from(limited))

    @cached_property
    def _found(self) -> Prepared:
        # Limited after the join: entries of earlier texts of a record match too, and must not take the place of others.
        is_current = self._documents.c.document == self._index.c.rowid
        live = select(self._documents.c.sys_id).join_from(self._index, self._documents, is_current)
        found = live.where(self._matches()).limit(literal_column(str(MOST_CANDIDATES), Integer)).subquery()
        waiting = self._waiting(MOST_CANDIDATES).subquery()
        return Prepared(select(union_all(select(found.c.sys_id), select(waiting.c.sys_id)).subquery()))

    def _matches(self) -> ColumnElement[bool]:
        matches: ColumnElement[bool] = literal_column(self._index.name).op("MATCH")(parameter("fragment", String))
        return matches

    def _referring(self, references: Mapping[str, Sequence[str]]) -> Select[Any]:
        columns = self._table.c
        some = (select(columns["sys_id"]).where(columns[name].in_(values)) for name, values in references.items())
        return select(union_all(*some).subquery()).limit(MOST_CANDIDATES)


def find_text_index(of: FromClause) -> TextIndex | None:
    """Return the index of a table, or None."""
    return of.info.get(_INFO) if isinstance(of, Table) else None


def is_among(column: ColumnElement[Any], sys_ids: Sequence[str]) -> Expression:
    """Return the clause for a column that has one of many sys_ids, which are one parameter."""
    if is_postgres(connection()):
        return Expression(_is_in_list, column, Value(",".join(sys_ids), String))
    return Expression(_is_in_json, column, Value(orjson.dumps([*sys_ids]).decode(), String))


def document_of(names: Sequence[str], prefix: str = "") -> str:
    """Return the SQL expression of all texts of a row, as PostgreSQL indexes it."""
    texts = " || ' ' || ".join(f"coalesce({prefix}{name}, '')" for name in names)
    return f"lower({texts})"


def _has_document_like(root: Any, names: Sequence[str], pattern: ColumnElement[str]) -> ColumnElement[bool]:
    document: ColumnElement[str] = literal_column(document_of(names, f"{root.name}."), String)
    return document.like("%" + func.lower(pattern) + "%", escape=ESCAPE)


def _is_in_list(column: ColumnElement[Any], sys_ids: ColumnElement[str]) -> ColumnElement[bool]:
    return column == func.any(func.string_to_array(sys_ids, literal_column("','")))


def _is_in_json(column: ColumnElement[Any], sys_ids: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(select(func.json_each(sys_ids).table_valued("value").c.value))


def _quoted(fragment: str) -> str:
    """Return a fragment as a phrase of FTS5."""
    doubled = fragment.replace('"', '""')
    return f'"{doubled}"'
