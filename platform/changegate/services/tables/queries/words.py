"""The search for words: rows in which each word occurs in a text field, or in the name of a user in a reference.

The users are read first. Then the rows are compared with their sys_ids, and not joined with them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, false, or_, select

from changegate.database.compiled import CompiledSelects
from changegate.database.expressions import Expression
from changegate.database.text_index import find_text_index, is_among
from changegate.database.text_search import any_contains, contains
from changegate.services.tables.queries.comparison import Clause, Comparison, Inquiry, Unmatchable
from changegate.services.tables.registry import table_of_users
from changegate.services.tables.visibility import fields_beside, may_read, parameters_of, visible_rows_of
from changegate.services.tables.walks import RecordField, Walks, alias_of

MAX_WORDS = 10
# A word that is part of the names of more users is likely to be found in many records: they are not looked up, or
# each record's users are joined.
MOST_USERS_LOOKED_UP, MOST_USERS_LISTED = 100, 2000
_named_users = CompiledSelects(32)


class _Searched(NamedTuple):
    """The fields that a search for words reads: those with texts, and the references to users with names."""

    texts: Sequence[RecordField]
    people: Sequence[RecordField]


def words_clause(inquiry: Inquiry, text: str) -> Clause | None:
    """Return the clause for rows in which each word occurs in a text field, or in the name of a user in a reference."""
    searched = _searched_fields(inquiry.walks)
    words = text.split()[:MAX_WORDS]
    fields = [*searched.texts, *searched.people]
    inquiry.measure.add(len(words) * len(fields))
    try:
        fragments = [Comparison(fields[0], word, inquiry).fragment() for word in words] if fields else []
    except Unmatchable:
        return Expression(false)
    users = {fragment: _list_users_named(inquiry, fragment) if searched.people else [] for fragment in fragments}
    candidates = _candidate_clauses(inquiry, searched, users)
    clauses = [*candidates, *(_word_clause(inquiry.walks, searched, each, users[each]) for each in users)]
    return Expression(and_, *clauses) if clauses else None


def _word_clause(walks: Walks, searched: _Searched, fragment: str, users: Sequence[str]) -> Clause:
    clauses: list[Clause] = []
    # References first: to compare them takes a fraction of the time of texts.
    if len(users) <= MOST_USERS_LISTED:
        clauses += [is_among(field.column, users) for field in searched.people if users or not searched.texts]
    else:
        names = (walks.find(f"{field.path}.{table_of_users()[0].display_field}") for field in searched.people)
        clauses += [contains(name.column, fragment) for name in names if name is not None]
    if searched.texts:
        clauses.append(any_contains([field.column for field in searched.texts], fragment))
    return Expression(or_, *clauses) if len(clauses) > 1 else clauses[0]


def _candidate_clauses(inquiry: Inquiry, searched: _Searched, users: Mapping[str, Sequence[str]]) -> list[Clause]:
    """Return clauses for rows that may contain the words, which are found by an index; `users` are those named so."""
    walks = inquiry.walks
    index = find_text_index(walks.table.source)
    if index is None or not all(field.path in index.names for field in searched.texts):
        return []
    few = [fragment for fragment, named in users.items() if len(named) <= MOST_USERS_LOOKED_UP]
    chosen = [fragment for fragment in index.choose_narrowest(few) if inquiry.measure.take_lookup()]
    people = [field.path for field in searched.people]
    found = (index.find_candidates(walks.root, each, dict.fromkeys(people, users[each])) for each in chosen)
    return [clause for clause in found if clause is not None]


def _list_users_named(inquiry: Inquiry, fragment: str) -> Sequence[str]:
    """Return the sys_ids of the users whose names contain a fragment, or of more than `MOST_USERS_LISTED` of them."""
    users, _ = table_of_users()
    source, permissions = alias_of(users.source, "named"), inquiry.walks.permissions
    has_name = contains(source.c[users.display_field], fragment)

    def build() -> Select[Any]:
        visible = visible_rows_of(users, source, permissions)
        return select(source.c["sys_id"]).where(has_name.build_named(), *visible).limit(MOST_USERS_LISTED + 1)

    parameters = {**parameters_of(inquiry.moment.caller), **has_name.parameters}
    return [row[0] for row in _named_users.fetch((permissions, has_name.shape), build, parameters)]


def _searched_fields(walks: Walks) -> _Searched:
    users, _ = table_of_users()
    entries = walks.table.entries
    names = [name for name in walks.table.fields_for(walks.permissions) if not name.startswith("sys_")]
    texts = [name for name in names if entries[name].kind == "string"]
    people = [name for name in names if (entries[name].kind, entries[name].reference) == ("reference", users.name)]
    may_name = may_read(users, walks.permissions) and users.display_field in fields_beside(users, walks.permissions)
    if walks.table is users or not may_name:
        people = []
    return _Searched(*([field for name in paths if (field := walks.find(name))] for paths in (texts, people)))
