"""My work: what waits for the signed-in user, as short lists that lead to the whole ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template

from changegate.console.guards import caller, require_login
from changegate.console.records.cells import Cell, cells_of
from changegate.console.records.computed_lists import read_list
from changegate.console.records.pages import list_url, record_url
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.queries.operators import ME, MY_GROUPS
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table

ROWS_OF_A_SECTION = 10
GROUP_WORK = f"active=true^assignment_groupDYNAMIC{MY_GROUPS}"
bp = Blueprint("my_work", __name__, url_prefix="/my-work")
bp.before_request(require_login)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: the records of a query, with some columns; `{me}` stands for the user's sys_id."""

    title: str
    table: str
    query: str
    columns: tuple[str, ...]
    empty: str


_TASK_COLUMNS = ("number", "short_description", "state", "assignment_group", "assigned_to", "sys_updated_on")
SECTIONS = (
    Section(
        "Waiting for my approval",
        "sysapproval_approver",
        f"state=requested^asked_by_policy=true^approverDYNAMIC{ME}^ORDERBYsys_created_on",
        ("sysapproval", "group", "sys_created_on", "expires"),
        "No approval waits for you.",
    ),
    Section(
        "Assigned to me",
        "task",
        f"active=true^assigned_toDYNAMIC{ME}^ORDERBYDESCsys_created_on^ORDERBYDESCnumber",
        _TASK_COLUMNS,
        "No open change or task is assigned to you.",
    ),
    Section(
        "My groups, not assigned to a person",
        "task",
        f"{GROUP_WORK}^assigned_toISEMPTY^ORDERBYDESCsys_created_on^ORDERBYDESCnumber",
        _TASK_COLUMNS,
        "Every open change and task of your groups is assigned to a person.",
    ),
    Section(
        "Requested by me",
        "change_request",
        f"active=true^requested_byDYNAMIC{ME}^ORDERBYDESCsys_created_on^ORDERBYDESCnumber",
        _TASK_COLUMNS,
        "You have no open change.",
    ),
    Section(
        "Watched",
        "task",
        "active=true^watch_listISNOTEMPTY^watch_listLIKE{me}^ORDERBYDESCsys_created_on^ORDERBYDESCnumber",
        _TASK_COLUMNS,
        "You are on no watch list of an open change or task.",
    ),
)


@dataclass(frozen=True, slots=True)
class ShortList:
    """A section with its first records."""

    section: Section
    heads: Sequence[str]
    rows: Sequence[tuple[str | None, Sequence[Cell]]]
    total: int
    url: str


@bp.get("")
def page_view() -> str:
    """Show the sections."""
    return render_template("console/my_work.html", lists=[_short_list(section) for section in SECTIONS])


def count_work() -> list[tuple[str, int, str]]:
    """Return title, number of records, and URL of the list of each section."""
    counted = []
    for section in SECTIONS:
        table, text = get_table(section.table), section.query.format(me=caller().sys_id)
        number = count_records(table, caller(), parse_encoded_query(text))
        counted.append((section.title, number, list_url(table.name, sysparm_query=text)))
    return counted


def _short_list(section: Section) -> ShortList:
    table, who = get_table(section.table), caller()
    text = section.query.format(me=who.sys_id)
    page = read_list(table, who, parse_encoded_query(text), section.columns, limit=ROWS_OF_A_SECTION, offset=0)
    rows = [
        (record_url(table.name, record["sys_id"]["value"]), cells_of(table, section.columns, record))
        for record in page.records
    ]
    heads = [table.entries[name].label for name in section.columns]
    return ShortList(section, heads, rows, page.total, list_url(table.name, sysparm_query=text))
