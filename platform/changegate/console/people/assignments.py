"""Assignments of users, groups, and roles to each other: the panels of their pages, and the forms in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.records.pages import list_url, record_url
from changegate.console.records.record_form import FormField, RecordForm, form_as_sent
from changegate.console.records.reference_choices import take_refusal
from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError, RecordNotFound, RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order, equal_query
from changegate.services.tables.reading.records import count_records, read_page, require_operation
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.visibility import may_read
from changegate.services.tables.writing.records import create_record, delete_record
from changegate.services.tables.writing.written_rows import KEY_EXISTS
from changegate.unproxied import current_request

MOST_ASSIGNED = 100
ASSIGNED, TYPED = "assigned", "name"
bp = Blueprint("assignments", __name__, url_prefix="/assignments")
bp.before_request(require_login)


@dataclass(frozen=True, slots=True)
class AssignedTable:
    """A table whose records assign the record of a page, in the field `of`, to another one, in the field `other`."""

    table: str
    of: str
    other: str
    heading: str

    @property
    def field(self) -> FormField:
        """Return the input with the name of the other record."""
        entry = get_table(self.table).entries[self.other]
        return FormField(self.other, f"Add a {entry.label.lower()}", "reference", entry)

    @property
    def other_table(self) -> Table:
        """Return the table of the other records."""
        return get_table(str(get_table(self.table).entries[self.other].reference))


ASSIGNMENTS: Mapping[str, tuple[AssignedTable, ...]] = {
    "sys_user": (
        AssignedTable("sys_user_grmember", "user", "group", "Groups"),
        AssignedTable("sys_user_has_role", "user", "role", "Roles"),
    ),
    "sys_user_group": (
        AssignedTable("sys_user_grmember", "group", "user", "Members"),
        AssignedTable("sys_group_has_role", "group", "role", "Roles of all members"),
    ),
    "sys_user_role": (
        AssignedTable("sys_user_has_role", "role", "user", "Users"),
        AssignedTable("sys_group_has_role", "role", "group", "Groups"),
    ),
}


@dataclass(frozen=True, slots=True)
class AssignedRecord:
    """An assigned record: the sys_id of the assignment, the name of the other record, and its page."""

    sys_id: str
    name: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Panel:
    """The assigned records that the caller may see, and the form that assigns another one, with a name of several."""

    assignment: AssignedTable
    records: list[AssignedRecord]
    total: int
    all_url: str
    may_assign: bool
    form: RecordForm


def list_panels(table: str, sys_id: str, who: Caller) -> list[Panel]:
    """Return the panels of the page of a record."""
    return [
        _panel(each, sys_id, who) for each in ASSIGNMENTS[table] if may_read(get_table(each.table), who.permissions)
    ]


def _panel(assignment: AssignedTable, sys_id: str, who: Caller) -> Panel:
    table = get_table(assignment.table)
    query = equal_query(assignment.of, sys_id, Order(assignment.other))
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", assignment.other))
    page = read_page(table, who, query, shape, limit=MOST_ASSIGNED, offset=0)
    arguments = current_request().args
    typed = arguments.get(TYPED, "").strip() if arguments.get(ASSIGNED) == assignment.table else ""
    return Panel(
        assignment,
        [
            AssignedRecord(
                record["sys_id"]["value"],
                record[assignment.other]["display_value"],
                record_url(assignment.other_table.name, record[assignment.other]["value"]),
            )
            for record in page.records
        ],
        page.total,
        list_url(assignment.table, sysparm_query=f"{assignment.of}={sys_id}"),
        table.access.admits("create", who.permissions),
        _form_of(assignment, typed, who),
    )


def _form_of(assignment: AssignedTable, typed: str, who: Caller) -> RecordForm:
    """Return the form that assigns a record; `typed` is a name that was refused, or empty."""
    form = RecordForm([assignment.field], {assignment.other: typed})
    if typed:
        take_refusal(form, RequestUnreadable(typed), get_table(assignment.table), who, {})
    return form


@bp.post("/<table_name>/<sys_id>/<assigned>")
def assign_view(table_name: str, sys_id: str, assigned: str) -> ResponseReturnValue:
    """Assign the record with the sent name; for one that means no record or several, the page offers candidates."""
    assignment = _find(table_name, assigned)
    typed = form_as_sent([assignment.field], current_request().form).values[assignment.other].strip()
    table, values = get_table(assignment.table), {assignment.of: sys_id, assignment.other: typed}
    refusal = attempt(lambda: create_record(table, caller(), values, input_display_value=True))
    if isinstance(refusal, RequestUnreadable):
        return redirect(_page_url(table_name, sys_id, assignment, **{ASSIGNED: assigned, TYPED: typed}))
    if isinstance(refusal, ChangegateError):
        is_double = refusal.detail == KEY_EXISTS
        flash("This is assigned already." if is_double else refusal.detail or refusal.message, "danger")
    return redirect(_page_url(table_name, sys_id, assignment))


@bp.post("/<table_name>/<sys_id>/<assigned>/<assignment_id>/remove")
def remove_view(table_name: str, sys_id: str, assigned: str, assignment_id: str) -> ResponseReturnValue:
    """End an assignment. Raises `RecordNotFound` for one of another page."""
    assignment = _find(table_name, assigned)
    table = get_table(assignment.table)
    require_operation(table, caller().permissions, "delete")
    conditions = (Condition(assignment.of, "=", sys_id), Condition("sys_id", "=", assignment_id))
    if not count_records(table, caller(), EncodedQuery((tuple((each,) for each in conditions),))):
        raise RecordNotFound
    refusal = attempt(lambda: delete_record(table, caller(), assignment_id))
    if isinstance(refusal, ChangegateError):
        flash(refusal.detail or refusal.message, "danger")
    return redirect(_page_url(table_name, sys_id, assignment))


def _find(table_name: str, assigned: str) -> AssignedTable:
    for assignment in ASSIGNMENTS.get(table_name, ()):
        if assignment.table == assigned:
            return assignment
    raise RecordNotFound


def _page_url(table_name: str, sys_id: str, assignment: AssignedTable, **arguments: Any) -> str:
    url = url_for("record_pages.record_view", table_name=table_name, sys_id=sys_id, **arguments)
    return f"{url}#{assignment.table}"
