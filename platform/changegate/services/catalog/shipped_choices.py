"""The default choices, as rows of sys_choice that administrators can edit."""

from collections.abc import Iterator

from sqlalchemy import select

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysChoice
from changegate.services.tables.choices import LANGUAGE
from changegate.services.tables.dictionary import declared_entries, sys_id_of
from changegate.services.tables.registry import TABLES, Table


def add_shipped_choices() -> None:
    """Add the choices that are missing; existing ones are not changed.

    A deleted choice is added again by the next `prepare`, which cannot distinguish it from a choice of a new version.
    To remove a choice, an administrator makes it inactive.
    """
    columns = (SysChoice.name, SysChoice.element, SysChoice.value)
    known = {tuple(row) for row in connection().execute(select(*columns).where(SysChoice.language == LANGUAGE))}
    shipped = (choice for table in TABLES.values() for choice in _choices_of(table))
    db.session.add_all(choice for choice in shipped if (choice.name, choice.element, choice.value) not in known)
    db.session.flush()


def _choices_of(table: Table) -> Iterator[SysChoice]:
    own = {name: table.entries[name] for name in (*declared_entries(table), *table.choices)}
    for element, entry in own.items():
        for sequence, (value, label) in enumerate((entry.choices or {}).items()):
            yield SysChoice(
                sys_id=sys_id_of("sys_choice", table.name, element, value),
                name=table.name,
                element=element,
                value=value,
                label=label,
                sequence=sequence,
            )
