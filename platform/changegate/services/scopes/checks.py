"""Checks that the rules of a scope name existing tables and fields."""

from collections.abc import Iterable, Mapping
from typing import Any

from changegate.errors import InputInvalid
from changegate.models.auth_scope import ANY, REST_APIS
from changegate.services.tables.registry import TABLES, Table
from changegate.services.tables.visibility import knows_integrations


def require_served(rules: Iterable[Mapping[str, Any]]) -> None:
    """Raise `InputInvalid` for rules about tables or fields that do not exist, and for limits that nothing can pass."""
    faults = [fault for rule in rules if REST_APIS[rule["rest_api"]].has_tables for fault in _faults(rule)]
    if faults:
        raise InputInvalid({"rules": list(dict.fromkeys(faults))})


def writable_fields(table: Table) -> set[str]:
    """Return the fields of a table that tokens can write, including journal fields."""
    if table.is_closed_to_tokens:
        return set()
    written = {name for name, entry in table.entries.items() if not entry.is_read_only}
    return written | set(table.journal_fields)


def _faults(rule: Mapping[str, Any]) -> list[str]:
    name, api = rule["table"], REST_APIS[rule["rest_api"]]
    if name not in (ANY, *TABLES):
        return [f"There is no table {name}."]
    tables = [table for table in TABLES.values() if name in (ANY, table.name) and api.serves(table.name)]
    if not tables:
        return [f"The {api.label} does not serve the table {name}."]
    known = set().union(*map(writable_fields, tables))
    unknown = [field for field in rule["writable_fields"] or () if field not in known]
    faults = [f"There is no field {field} to be written in {_where(name)}." for field in unknown]
    if rule["own_records"] and not any(map(knows_integrations, tables)):
        faults.append(f"Table {name} does not store the integration, so own_records cannot apply.")
    return faults


def _where(name: str) -> str:
    return "any table" if name == ANY else name
