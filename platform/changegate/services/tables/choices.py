"""Choices: the labels of the values of a field, from the rows of sys_choice.

See docs/reference/change-records.md#related-tables.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import SysChoice
from changegate.services.tables.recent_rows import RecentRules, recent_rows
from changegate.services.tables.registry import get_table, lineage_of

LANGUAGE = "en"
_CHOICES = SysChoice.__tablename__
Labels = dict[str, str]
LabelsByElement = Mapping[str, Mapping[str, str]]


class ChoicesKey(NamedTuple):
    """The key of the cache: the choices of some fields of a table, all or only the active ones."""

    table: str
    elements: tuple[str, ...]
    active_only: bool


class ChoiceRules(RecentRules):
    """Rules of sys_choice: each write drops the cache."""

    table = _CHOICES


def find_choices(table_name: str, elements: Iterable[str], *, active_only: bool = False) -> LabelsByElement:
    """Return label by value for each of the elements that have choices, with at most one statement.

    If a class has rows for an element, they replace those of the table that it extends. If no table of the lineage has
    rows, the choices of the dictionary apply. `active_only` omits inactive choices, which still have a label but can no
    longer be chosen. The result is cached for a second (decision 0017).
    """
    found: LabelsByElement = recent_rows(_CHOICES).find(
        ChoicesKey(table_name, tuple(sorted(elements)), active_only), _read_choices
    )
    return found


def _read_choices(key: ChoicesKey) -> LabelsByElement:
    table_name, elements, active_only = key
    table = get_table(table_name)
    lineage = tuple(each.name for each in lineage_of(table))
    stored: dict[tuple[str, str], Labels] = {}
    for row in _statement(lineage, len(elements)).all(_numbered(elements)) if elements else ():
        # An element whose choices are all inactive gets an empty entry: its rows still replace those of the parent.
        labels = stored.setdefault((row.name, row.element), {})
        if not (active_only and row.inactive):
            labels[row.value] = row.label
    nearest = {element: _first(stored, lineage, element) for element in elements}
    shipped = {element: table.entries[element].choices for element in elements if element in table.entries}
    return {
        element: dict(shipped.get(element) or {}) if labels is None else labels
        for element, labels in nearest.items()
        if labels is not None or shipped.get(element)
    }


def _first(stored: Mapping[tuple[str, str], Labels], lineage: tuple[str, ...], element: str) -> Labels | None:
    return next((stored[name, element] for name in lineage if (name, element) in stored), None)


def _numbered(elements: tuple[str, ...]) -> dict[str, Any]:
    return {f"element_{at}": element for at, element in enumerate(elements)}


@lru_cache(maxsize=256)
def _statement(lineage: tuple[str, ...], how_many: int) -> Prepared:
    columns = SysChoice.__table__.c
    is_of_table = or_(*(columns["name"] == name for name in lineage))
    is_of_element = or_(*(columns["element"] == parameter(f"element_{at}") for at in range(how_many)))
    shown = [columns[name] for name in ("name", "element", "value", "label", "inactive")]
    statement = select(*shown).where(is_of_table, is_of_element, columns["language"] == LANGUAGE)
    return Prepared(statement.order_by(columns["sequence"], columns["value"]))
