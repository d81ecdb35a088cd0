"""Relationships of configuration items, followed in SQL to any depth.

A relationship may be part of a cycle. The recursion ends nevertheless, because a pair of items is followed only once.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, String, cast, literal, select, union, union_all

from changegate.models import CmdbRelCi, TaskCi

# Pairs of an item and an item that it is related to. Further ones are not followed.
MOST_RELATED = 50_000
SAME, PARENT, CHILD = 0, 1, 2
_RELATIONS = CmdbRelCi.__table__
_AFFECTED = TaskCi.__table__


def items_of_change(change: ColumnElement[str], main_item: ColumnElement[Any]) -> CTE:
    """Return the items of a change: its configuration item and its affected CIs."""
    main = select(cast(main_item, String).label("item")).where(main_item.is_not(None))
    return union(main, select(_AFFECTED.c["ci_item"]).where(_AFFECTED.c["task"] == change)).cte("own")


def reach_of(items: CTE) -> CTE:
    """Return each item as `item`, with itself and its ancestors and descendants as `related`, and the `kind`."""
    kinds = [select(items.c.item, items.c.item.label("related"), literal(SAME).label("kind"))]
    for kind, pairs in ((PARENT, _followed(items, "child", "parent")), (CHILD, _followed(items, "parent", "child"))):
        limited = select(pairs.c.item, pairs.c.related).limit(MOST_RELATED).subquery()
        others = select(limited.c.item, limited.c.related, literal(kind)).where(limited.c.item != limited.c.related)
        kinds.append(others)
    return union_all(*kinds).cte("reach")


def ancestors_of(items: CTE) -> Select[Any]:
    """Return the items themselves and all that depend on them, each once."""
    above = select(items.c.item).cte("above", recursive=True)
    further = select(_RELATIONS.c["parent"]).join(above, _RELATIONS.c["child"] == above.c.item)
    return select(above.union(further).c.item)


def _followed(items: CTE, start: str, end: str) -> CTE:
    """Return the pairs of an item and those that its relationships lead to, from the column `start` to `end`."""
    columns = _RELATIONS.c
    # From the items, not from the relationships: SQLite would read all of these.
    pairs = select(items.c.item, items.c.item.label("related")).cte(f"by_{end}", recursive=True)
    further = select(pairs.c.item, columns[end]).join(pairs, columns[start] == pairs.c.related)
    return pairs.union(further)
