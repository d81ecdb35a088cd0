"""The search for words: rows in which each word occurs in a text field, or in the name of a user in a reference.

The users are read first. Then the rows are compared with their sys_ids, and not joined with them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from changegate.database.alternatives import Alternatives, checks_any
from changegate.database.compiled import CompiledSelects
from changegate.database.expressions import Expression
from changegate.database.listed import is_among, is_listed
from changegate.database.text_index import find_text_index
from changegate.database.text_search import any_contains, contains
from changegate.services.tables.queries.comparison import Clause, Comparison, Inquiry, Unmatchable
from changegate.services.tables.registry import table_of_users
from changegate.services.tables.visibility import fields_beside, may_read, parameters_of, visible_rows_of
from changegate.services.tables.walks import RecordField, Walks, alias_of

Join = Callable[..., ColumnElement[bool]]

MAX_WORDS = 10
# A word that is part of the names of more users is found in many records: the users of each record are joined.
MOST_USERS_LISTED = 2000
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
    first, texts = _find_texts(inquiry, searched, users)
    others = or_ if first is None else checks_any
    joins = {fragment: Alternatives if fragment == first else others for fragment in users}
    clauses = [_word_clause(inquiry.walks, searched, each, users[each], texts.get(each), joins[each]) for each in users]
    return Expression(and_, *clauses) if clauses else None


def _word_clause(
    walks: Walks, searched: _Searched, fragment: str, users: Sequence[str], texts: Clause | None, join: Join
) -> Clause:
    """Return the clause for rows with a word; `texts` is the clause for those that have it in a text, by an index."""
    clauses: list[Clause] = []
    # References first: to compare them takes a fraction of the time of texts.
    if len(users) <= MOST_USERS_LISTED:
        clauses += [is_among(field.column, users) for field in searched.people if users or not searched.texts]
    else:
        names = (walks.find(f"{field.path}.{table_of_users()[0].display_field}") for field in searched.people)
        clauses += [contains(name.column, fragment) for name in names if name is not None]
    if searched.texts:
        columns = [field.column for field in searched.texts]
        clauses.append(any_contains(columns, fragment) if texts is None else texts)
    return Expression(join, *clauses) if len(clauses) > 1 else clauses[0]


def _find_texts(
    inquiry: Inquiry, searched: _Searched, users: Mapping[str, Sequence[str]]
) -> tuple[str | None, Mapping[str, Clause]]:
    """Return, by word, clauses for rows that have it in a text, by an index; `users` maps it to users with that name.

    The word that is returned beside them is the one whose rows the database finds first: an index finds all of them.
    """
    walks = inquiry.walks
    index = find_text_index(walks.table.source)
    if index is None or not all(field.path in index.names for field in searched.texts):
        return None, {}
    others = alias_of(walks.table.source, "listed")
    listed = {word: len(named) for word, named in users.items() if len(named) <= MOST_USERS_LISTED}
    words = [word for word in index.sort_by_records(listed) if inquiry.measure.take_lookup()]
    found: dict[str, Clause] = {}
    for number, word in enumerate(words):
        is_listed_first = number > 0 and index.has_few_candidates(word)
        if number and not is_listed_first and not index.combines_words:
            continue
        rows = others if is_listed_first else walks.root
        paths = [field.path for field in searched.texts]
        matching = index.find_matches(rows, word, any_contains([rows.c[path] for path in paths], word), paths)
        if matching is not None:
            found[word] = is_listed(walks.root, rows, matching) if is_listed_first else matching
    first = words[0] if words and words[0] in found else None
    return first, found


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
