"""JSON Schemas of records in responses and requests, generated from the catalog and the choices."""

from collections.abc import Mapping

from changegate.api.openapi.values import SYS_ID, JsonSchema, input_of, output_of, ref
from changegate.models import SysJournalField
from changegate.models.base import Entry
from changegate.services.tables.dictionary import is_mandatory
from changegate.services.tables.registry import NOBODY, Table

Labels = Mapping[str, Mapping[str, str]]
_BLANK = Entry("string", "", is_read_only=True)
_JOURNAL: Entry = SysJournalField.__table__.c["value"].info["entry"]
_NONE: Mapping[str, str] = {}
# Of other kinds, the label is the example.
_EXAMPLES = {"glide_date_time": "2030-01-31 08:30:00", "glide_date": "2030-01-31", "integer": "1", "boolean": "true"}


def record_schemas(table: Table, labels: Labels) -> dict[str, JsonSchema]:
    """Return the schemas of a table by name: its record and, if it can be written, the bodies of writes."""
    schemas = {table.name: _record(table, labels)}
    if table.access.create is not NOBODY or table.access.update is not NOBODY:
        schemas[input_name(table)] = _input(table, labels)
    if table.access.create is not NOBODY:
        schemas[creation_name(table)] = _creation(table)
    return schemas


def input_name(table: Table) -> str:
    """Return the name of the schema for changes to a record."""
    return f"{table.name}.changes"


def creation_name(table: Table) -> str:
    """Return the name of the schema for a new record."""
    return f"{table.name}.new"


def mandatory_fields(table: Table) -> list[str]:
    """Return the mandatory fields of a new record."""
    return [name for name in table.entries if is_mandatory(table, name)]


def example_of(table: Table, *, is_new: bool) -> dict[str, str]:
    """Return a minimal example of a new record: the mandatory fields and one text."""
    writable = {name: entry for name, entry in table.entries.items() if not entry.is_read_only}
    plain = (name for name, entry in writable.items() if entry.kind == "string" and not entry.is_secret)
    named = (mandatory_fields(table) if is_new else []) or list(plain)[:1]
    return {name: _example_of_field(writable[name]) for name in named}


def _example_of_field(entry: Entry) -> str:
    first_choice = next(iter(entry.choices or ()), None)
    return entry.example or first_choice or _EXAMPLES.get(entry.kind) or entry.label


def result_of(schema: JsonSchema) -> JsonSchema:
    """Return the schema of a response with the given schema under `result`."""
    return {
        "type": "object",
        "properties": {"result": schema},
        "required": ["result"],
        "additionalProperties": False,
    }


def answered_record(table: Table) -> JsonSchema:
    """Return the schema of a record in any of the shapes that `sysparm_display_value` selects."""
    return {"anyOf": [ref(table.name), ref("RecordOfPairs")]}


def _record(table: Table, labels: Labels) -> JsonSchema:
    fields = {name: output_of(entry, labels.get(name, _NONE)) for name, entry in table.entries.items()}
    blanks = {name: output_of(_BLANK, _NONE) | {"title": _title(table, name)} for name in table.blank_fields}
    return {
        "title": table.label,
        "description": "A record; fields that the caller may not read are left out. Dot-walked fields come as asked.",
        "type": "object",
        "properties": fields | blanks,
        "additionalProperties": {"anyOf": [{"type": "string"}, ref("Link")]},
    }


def _input(table: Table, labels: Labels) -> JsonSchema:
    fields = {
        name: input_of(entry, labels.get(name, _NONE))
        for name, entry in table.entries.items()
        if not entry.is_read_only
    }
    journals = {
        name: input_of(_JOURNAL, _NONE) | {"title": title, "description": "Adds an entry to the journal."}
        for name, title in table.journal_fields.items()
    }
    return {
        "title": f"{table.label}: changes",
        "description": "The fields to write. Other fields stay as they are; unknown and read-only fields are ignored.",
        "type": "object",
        "properties": fields | journals,
    }


def _creation(table: Table) -> JsonSchema:
    mandatory = mandatory_fields(table)
    sys_id = {
        "title": "Sys ID",
        "description": "One that the caller chooses.",
        "type": ["string", "null"],
        "pattern": f"{SYS_ID}|^$",
    }
    given = {name: {"type": "string", "minLength": 1} for name in mandatory}
    own: JsonSchema = {"type": "object", "properties": {"sys_id": sys_id, **given}}
    if mandatory:
        own["required"] = mandatory
    return {"title": f"{table.label}: new", "allOf": [ref(input_name(table)), own]}


def _title(table: Table, name: str) -> str:
    return table.journal_fields.get(name, name.replace("_", " ").capitalize())
