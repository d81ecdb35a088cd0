"""The columns of a list: those of the URL, else those that the user has chosen, else those of the table."""

from collections.abc import Mapping

from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table
from changegate.services.users.preferences import find_preference

MOST_DEFAULT_COLUMNS = 6
DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "change_request": (
        "number", "short_description", "type", "state", "risk", "assignment_group", "assigned_to", "start_date",
    ),
    "change_task": (
        "number", "short_description", "change_request", "state", "assignment_group", "assigned_to",
        "planned_start_date",
    ),
    "task": ("number", "short_description", "sys_class_name", "state", "assignment_group", "assigned_to"),
    "sysapproval_approver": ("sysapproval", "state", "approver", "group", "sys_created_on", "answered_at"),
    "my_approval": ("number", "short_description", "risk", "start_date", "end_date", "requester"),
    "std_change_record_producer": ("name", "description", "active", "current_version", "sys_updated_on"),
    "oauth_entity": ("name", "active", "owner", "review_date"),
    "oauth_exchange": ("sys_created_on", "entity", "outcome", "reason", "subject", "sys_id"),
    "oauth_credential": ("sys_created_on", "entity", "subject", "user", "scope", "expires_at"),
    "machine_identity": (
        "user_name", "name", "kind", "roles", "tokens", "last_exchange_at", "last_call_at", "findings",
    ),
    "refresh_token": ("integration", "user_name", "scopes", "issued_at", "last_used_at", "expires_at"),
    "security_finding": ("name", "severity", "sentence", "code", "remedy"),
    "sys_email": ("sys_created_on", "recipients", "subject", "state", "attempts", "error_string"),
    "sys_user": ("user_name", "name", "email", "active", "locked_out", "last_login_time"),
}  # fmt: skip


def preference_of(table: Table) -> str:
    """Return the name of the preference that holds a user's columns of a table."""
    return f"{table.name}.columns"


def readable_columns(table: Table, caller: Caller) -> tuple[str, ...]:
    """Return the fields that a list of the caller may show, in the order of the model."""
    return table.fields_for(caller.permissions)


def columns_of(table: Table, caller: Caller, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a list; `named` are those of its URL."""
    readable = readable_columns(table, caller)
    chosen = (find_preference(caller.sys_id, preference_of(table)) or "").split(",")
    for names in (named, chosen, DEFAULT_COLUMNS.get(table.name, ())):
        if shown := tuple(name for name in names if name in readable):
            return shown
    return _plain_columns(table, readable)


def _plain_columns(table: Table, readable: tuple[str, ...]) -> tuple[str, ...]:
    """Return the display field and the first fields of a table's own, then when a record was updated."""
    own = (name for name in readable if not name.startswith("sys_") and name != table.display_field)
    display = (table.display_field,) if table.display_field in readable and table.display_field != "sys_id" else ()
    return (*(*display, *own)[:MOST_DEFAULT_COLUMNS], "sys_updated_on")
