"""The parts of records, such as the rules of a policy: tables on the page of the record, with a link to each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for

from changegate.console.records.cells import Cell, cells_of
from changegate.console.records.list_state import query_of
from changegate.console.records.pages import list_url, noun_of, plural_of, record_url
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.visibility import may_read

MOST_PARTS = 100


@dataclass(frozen=True, slots=True)
class PartDefinition:
    """A table of parts: those whose reference `field` is the record, in an order, and further ones below each of them.

    `order` may begin with further conditions, in which `{}` is the sys_id of the record.

    Records that are `related` are no parts: they have lists of their own, of which the page shows the first, if any.
    """

    table: str
    field: str
    heading: str
    columns: tuple[str, ...]
    order: str = "^ORDERBYorder"
    below: "PartDefinition | None" = None
    is_related: bool = False

    @property
    def most(self) -> int:
        """Return how many records a page shows."""
        return 10 if self.is_related else MOST_PARTS


def _related(table: str, field: str, heading: str, columns: tuple[str, ...], order: str) -> PartDefinition:
    return PartDefinition(table, field, heading, columns, order, is_related=True)


_TRANSITION = ("name", "from_state", "to_state", "automatic_transition", "active")
_CONDITIONS = PartDefinition(
    "sttrm_transition_condition", "transition", "Conditions", ("name", "condition", "description")
)
_CHANGE = ("number", "short_description", "state", "assignment_group", "start_date")
_OPEN = "^active=true^ORDERBYstart_date"
_APPROVERS = ("approver_source", "users", "group", "approver_field", "required_role", "condition")
_TIMES = ("start_date_time", "end_date_time", "repeat_type", "repeat_count", "days_of_week", "repeat_until")
# By the table of the record, or the table that it extends.
PARTS: Mapping[str, tuple[PartDefinition, ...]] = {
    "chg_policy_approval": (
        PartDefinition(
            "chg_approval_def", "policy", "Rules", ("name", *_APPROVERS, "wait_for", "value", "governed_fields")
        ),
    ),
    "chg_model": (
        PartDefinition(
            "sttrm_state", "sttrm_model", "States", ("state_label", "state_value", "initial", "mandatory_fields")
        ),
        PartDefinition(
            "sttrm_state_transition",
            "sttrm_model",
            "Transitions",
            _TRANSITION,
            "^ORDERBYfrom_state.order^ORDERBYorder",
            below=_CONDITIONS,
        ),
    ),
    "sttrm_state": (
        _related("sttrm_state_transition", "from_state", "Transitions from this state", _TRANSITION, "^ORDERBYorder"),
        _related("sttrm_state_transition", "to_state", "Transitions to this state", _TRANSITION, "^ORDERBYorder"),
    ),
    "sttrm_state_transition": (_CONDITIONS,),
    "cmn_schedule": (
        PartDefinition(
            "cmn_schedule_span", "schedule", "Entries", ("name", "type", *_TIMES), "^ORDERBYstart_date_time"
        ),
        _related(
            "cmdb_ci",
            "maintenance_schedule",
            "Configuration items with these windows",
            ("name", "sys_class_name", "assignment_group"),
            "^ORDERBYname",
        ),
        _related(
            "chg_freeze_override",
            "freeze",
            "Overrides",
            ("change_request", "reason", "overridden_by", "sys_created_on"),
            "^ORDERBYDESCsys_created_on",
        ),
    ),
    "std_change_record_producer": (
        _related(
            "std_change_producer_version",
            "std_change_producer",
            "Versions",
            ("name", "version", "active", "std_change_proposal", "sys_created_by", "sys_created_on"),
            "^ORDERBYDESCversion",
        ),
        _related(
            "std_change_proposal",
            "std_change_producer",
            "Proposals",
            ("name", "proposal_type", "state", "proposed_by", "decided_by", "decided_at"),
            "^ORDERBYDESCsys_created_on",
        ),
        _related(
            "change_request",
            "std_change_producer_version.std_change_producer",
            "Latest changes",
            _CHANGE,
            "^ORDERBYDESCsys_created_on",
        ),
    ),
    "cmdb_ci": (
        PartDefinition("cmdb_rel_ci", "parent", "Depends on", ("child", "type"), "^ORDERBYchild.name"),
        PartDefinition("cmdb_rel_ci", "child", "Used by", ("parent", "type"), "^ORDERBYparent.name"),
        _related("change_request", "cmdb_ci", "Open changes", _CHANGE, _OPEN),
        _related("change_request", "business_service", "Open changes of this service", _CHANGE, _OPEN),
        _related(
            "task_ci",
            "ci_item",
            "Open changes and tasks that also affect it",
            ("task", "sys_created_by", "sys_created_on"),
            "^task.active=true^task.cmdb_ci!={}^ORtask.cmdb_ciISEMPTY^ORDERBYDESCsys_created_on",
        ),
    ),
    "oidc_provider_configuration": (
        PartDefinition(
            "oidc_claim_mapping", "provider", "Claim mappings", ("value", "claim", "group", "role"), "^ORDERBYvalue"
        ),
    ),
    "sys_user": (
        PartDefinition("sys_user_identity", "user", "Identities", ("subject", "issuer"), "^ORDERBYissuer"),
        _related(
            "sys_user_delegate", "user", "Delegations", ("delegate", "approval", "starts", "ends"), "^ORDERBYDESCends"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part: its page, its cells, and the links to the parts below it, with that to the form of a new one."""

    url: str | None
    cells: Sequence[Cell]
    below: Sequence[tuple[str, str | None]] = ()
    new_below_url: str | None = None


@dataclass(frozen=True, slots=True)
class PartTable:
    """The parts of a record that the caller may see; `all_url` is set if there are more than are shown.

    `opens_rows` is whether a row needs a link of its own, since its first cell leads to another record.
    """

    part: PartDefinition
    label: str
    heads: Sequence[str]
    rows: Sequence[PartRow]
    opens_rows: bool
    new_url: str | None
    all_url: str | None


def parts_of_table(table: Table) -> tuple[PartDefinition, ...]:
    """Return the parts of the records of a table."""
    return PARTS.get(table.name) or PARTS.get(table.extends or "", ())


def list_part_tables(table: Table, sys_id: str, caller: Caller) -> list[PartTable]:
    """Return the parts of a record by table, as far as the caller may read them; related records only if there are."""
    readable = (part for part in parts_of_table(table) if may_read(get_table(part.table), caller.permissions))
    tables = [_part_table(part, sys_id, caller) for part in readable]
    return [each for each in tables if each.rows or each.new_url]


def _part_table(part: PartDefinition, sys_id: str, caller: Caller) -> PartTable:
    table = get_table(part.table)
    query = query_of(part.field, sys_id) + part.order.replace("{}", sys_id)
    records, has_more = _read(part, query, caller)
    first, *others = part.columns
    shown = [first, *(name for name in others if any(record[name]["value"] for record in records))]
    below = _below(part, [record["sys_id"]["value"] for record in records], caller)
    rows = []
    for record in records:
        found = record["sys_id"]["value"]
        new_below = _new_url(part.below, found, caller) if part.below else None
        cells = cells_of(table, shown, record)
        rows.append(PartRow(record_url(table.name, found), cells, below.get(found, ()), new_below))
    return PartTable(
        part,
        noun_of(table),
        [table.entries[name].label for name in shown],
        rows,
        table.entries[first].kind == "reference",
        None if part.is_related else _new_url(part, sys_id, caller),
        list_url(table.name, sysparm_query=query) if has_more else None,
    )


def _new_url(part: PartDefinition, sys_id: str, caller: Caller) -> str | None:
    if not get_table(part.table).access.admits("create", caller.permissions):
        return None
    values: dict[str, Any] = {part.field: sys_id}
    return url_for("record_pages.new_view", table_name=part.table, **values)


def _below(part: PartDefinition, sys_ids: Sequence[str], caller: Caller) -> Mapping[str, list[tuple[str, str | None]]]:
    """Return the names and pages of the parts below parts, by the sys_id of the latter."""
    if part.below is None or not sys_ids:
        return {}
    below, table = part.below, get_table(part.below.table)
    found: dict[str, list[tuple[str, str | None]]] = {}
    query = f"{below.field}IN{','.join(sys_ids)}{below.order}"
    for record in _read(below, query, caller, below.field)[0]:
        name = record[table.display_field]["display_value"]
        link = (name, record_url(table.name, record["sys_id"]["value"]))
        found.setdefault(record[below.field]["value"], []).append(link)
    return found


def _read(part: PartDefinition, query: str, caller: Caller, *more: str) -> tuple[list[WireRecord], bool]:
    fields = ("sys_id", *part.columns, *more)
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=fields)
    parsed = parse_encoded_query(query)
    page = read_page(get_table(part.table), caller, parsed, shape, limit=part.most, offset=0, counts=False)
    return list(page.records), page.has_more


@dataclass(frozen=True, slots=True)
class Whole:
    """The record that another one is a part of: the list of its table, its name, and its page."""

    plural: str
    list_url: str
    name: str
    url: str


def whole_url(table: Table, values: Mapping[str, Any]) -> str | None:
    """Return the page of the record that a record with some stored values is a part of, or None."""
    name, field = _WHOLES.get(table.name, ("", ""))
    return record_url(name, values[field]) if values.get(field) else None


def whole_of(table: Table, record: WireRecord) -> Whole | None:
    """Return the record that a record is a part of, or None."""
    name, field = _WHOLES.get(table.name, ("", ""))
    member = record.get(field) or {"value": ""}
    # The name of a record that the caller cannot read is its sys_id.
    if not member["value"] or member["value"] == member["display_value"]:
        return None
    url = record_url(name, member["value"])
    return Whole(plural_of(get_table(name)), list_url(name), member["display_value"], url) if url else None


# The table and the field by which a part refers to what it is a part of.
_WHOLES = {
    part.table: (name, part.field) for name, parts in PARTS.items() for part in reversed(parts) if not part.is_related
}
