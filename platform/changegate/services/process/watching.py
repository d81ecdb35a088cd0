"""The watch list of a change, to which users who may read the change add themselves."""

from changegate.errors import OperationFailed, RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.writing.records import write_changes

WATCH_LIST = "watch_list"
LIST_FULL = "The watch list of this change is full. Ask someone on it to stop watching"


def set_watching(sys_id: str, caller: Caller, *, is_watching: bool) -> None:
    """Add the caller to the watch list of a change, or remove them. Raises `RecordNotFound` and `OperationFailed`."""
    get_row(changes_table(), caller, sys_id, ("sys_id",))
    change = lock_change(sys_id)
    if change is None:
        raise RecordNotFound
    users = [each for each in (change[WATCH_LIST] or "").split(",") if each and each != caller.sys_id]
    listed = ",".join([*users, caller.sys_id] if is_watching else users) or None
    if len(listed or "") > (changes_table().entries[WATCH_LIST].max_length or 0):
        raise OperationFailed(LIST_FULL)
    if listed != change[WATCH_LIST]:
        write_changes(changes_table(), change, {WATCH_LIST: listed}, caller)
