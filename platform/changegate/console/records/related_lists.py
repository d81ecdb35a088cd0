"""The lists of records that refer to a record, each with a number that is counted up to a limit."""

from typing import NamedTuple

from changegate.console.records.list_state import query_of
from changegate.console.records.pages import list_url, plural_of
from changegate.console.records.parts import parts_of_table
from changegate.services.access.caller import Caller
from changegate.services.tables.dictionary import declared_entries
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import NOBODY, TABLES, Table, lineage_of
from changegate.services.tables.visibility import may_read

MOST_REFERRING = 1000


class ReferringList(NamedTuple):
    """A list that is not empty: the heading of its table, the label of the reference, its length, and its path."""

    plural: str
    label: str
    total: str
    url: str


def list_related(table: Table, sys_id: str, caller: Caller) -> list[ReferringList]:
    """Return the lists of records that refer to a record, of tables that the caller may read, without its parts."""
    names = {each.name for each in lineage_of(table)}
    on_page = {(part.table, part.field) for part in parts_of_table(table) if not part.is_related}
    found = []
    for other in TABLES.values():
        if other.access.read is NOBODY or not may_read(other, caller.permissions):
            continue
        for name, entry in declared_entries(other).items():
            if entry.kind != "reference" or entry.reference not in names or entry.is_private:
                continue
            query = query_of(name, sys_id)
            total = (other.name, name) not in on_page and count_records(
                other, caller, parse_encoded_query(query), MOST_REFERRING
            )
            if total:
                shown = f"{total:,}+" if total == MOST_REFERRING else f"{total:,}"
                url = list_url(other.name, sysparm_query=query)
                found.append(ReferringList(plural_of(other), other.entries[name].label, shown, url))
    return sorted(found)
