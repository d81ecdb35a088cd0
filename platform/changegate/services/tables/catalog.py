"""Which tables the Table API serves. Adding one is a model and an entry in one of the lists joined here."""

from collections.abc import Mapping

from changegate.errors import TableUnknown
from changegate.services.tables.catalog_people import CI_TABLES, REFERENCE_TABLES
from changegate.services.tables.catalog_system import SYSTEM_TABLES
from changegate.services.tables.catalog_tasks import TASK_TABLES
from changegate.services.tables.registry import Table

TABLES: Mapping[str, Table] = {
    table.name: table for table in (*TASK_TABLES, *REFERENCE_TABLES, *CI_TABLES, *SYSTEM_TABLES)
}


def get_table(name: str) -> Table:
    """Return a served table; raises `TableUnknown`."""
    try:
        return TABLES[name]
    except KeyError:
        raise TableUnknown(name) from None


def find_table(name: str) -> Table | None:
    """Return a served table by name."""
    return TABLES.get(name)


def lineage_of(table: Table) -> tuple[Table, ...]:
    """Return a table and those it is a class of, the nearest first."""
    return (table, *lineage_of(get_table(table.extends))) if table.extends else (table,)
