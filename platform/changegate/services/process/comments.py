"""Comments of people who may read a change but not edit it, such as its requester."""

from changegate.services.access.caller import Caller
from changegate.services.process.changes import changes_table
from changegate.services.tables.journals import add_journal_entries, journal_entries
from changegate.services.tables.reading.records import get_row

COMMENTS = "comments"


def add_comment(sys_id: str, text: str, caller: Caller) -> None:
    """Add a comment to a change that the caller may read. Raises `RecordNotFound` and `RequestUnreadable`."""
    table = changes_table()
    row = get_row(table, caller, sys_id, table.public_fields)
    entries = journal_entries(table, {COMMENTS: text})
    add_journal_entries(table.name, sys_id, entries, caller)
    if table.observer is not None:
        table.observer.noted(dict(zip(table.public_fields, row, strict=True)), entries, caller)
