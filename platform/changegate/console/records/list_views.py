"""The list of any table: page, filter form, columns, saved filters, and exports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.records import bulk, saved_filters
from changegate.console.records.cells import cells_of
from changegate.console.records.columns import columns_of, preference_of, readable_columns
from changegate.console.records.computed_lists import (
    ComputedTable,
    find_ignored,
    find_labels,
    get_listed,
    operators_of,
    read_list,
)
from changegate.console.records.condition_rows import (
    AND,
    ENCODED,
    JOINS,
    OPERATORS,
    PERIODS,
    ConditionRow,
    kind_of,
    query_of_rows,
    rows_of_form,
    rows_of_query,
)
from changegate.console.records.crumbs import crumbs_of
from changegate.console.records.exports import FORMATS, MOST_EXPORTED
from changegate.console.records.list_state import MOST_COLUMNS, PAGE_SIZES, QUERY, ListState
from changegate.console.records.named_values import NAMING, resolve_names, show_names
from changegate.console.records.own_lists import own_list_of
from changegate.console.records.pages import OWN_LISTS, list_url, plural_of, record_url
from changegate.console.records.relative_times import EXAMPLES
from changegate.database import commit
from changegate.errors import RecordNotFound
from changegate.extensions import settings
from changegate.services.tables.registry import Table
from changegate.services.users.preferences import set_preference
from changegate.unproxied import current_request

bp = Blueprint("records", __name__, url_prefix="/records")
bp.before_request(require_login)


@bp.get("/<table_name>")
def list_view(table_name: str) -> ResponseReturnValue:
    """Show a page of the records of a table that the user may see."""
    table = get_listed(table_name)
    if table_name in OWN_LISTS:
        return redirect(list_url(table_name, **current_request().args))
    return list_page(table)


def list_page(
    table: Table, rows: Sequence[ConditionRow] | None = None, status: int = 200, **more: Any
) -> ResponseReturnValue:
    """Return the page of the list that the arguments of the request describe; `rows` are those of its filter form.

    `more` is shown by the template of a list with a page of its own.
    """
    sent = current_request()
    state = ListState.of_arguments(table, sent.args)
    who = caller()
    columns = columns_of(table, who, state.fields)
    fields = readable_columns(table, who)
    page = read_list(table, who, state.query, columns, limit=state.page_size, offset=state.offset)
    own = own_list_of(table.name)
    context = {"links": page.links, **own.context(page.records), **more}
    return render_template(
        own.template,
        wanted=state,
        table=table,
        plural=plural_of(table),
        columns=_labeled(table, columns),
        records=[(each, cells_of(table, columns, each, page.links_of(each))) for each in page.records],
        total=page.total,
        crumbs=crumbs_of(state, who),
        ignored=find_ignored(table, who, state.query),
        rows=show_names(rows_of_query(state.conditions, table.entries) if rows is None else rows, table, who),
        is_editing=rows is not None,
        # Those that are shown come first, in their order.
        column_names=_labeled(table, dict.fromkeys((*columns, *fields))),
        shown=columns,
        choices=find_labels(table, [name for name in fields if table.entries[name].choices is not None]),
        filters=saved_filters.list_filters(table, who),
        bulk_fields=bulk.editable_fields(table, who),
        references={name: entry.reference for name, entry in table.entries.items() if entry.kind == "reference"},
        builder=_builder(table, fields),
        page_sizes=PAGE_SIZES,
        api_url="" if isinstance(table, ComputedTable) else f"{settings().base_url}{state.api_path(columns)}",
        most_exported=MOST_EXPORTED,
        reads_all=table.own_rows is None or who.permissions.has_role(table.reads_all),
        may_create=table.access.admits("create", who.permissions),
        list_url=list_url,
        record_url=record_url,
        **context,
    ), status


@bp.post("/<table_name>/filter")
def filter_view(table_name: str) -> ResponseReturnValue:
    """Go to the list with the conditions of the filter form, or show the form with another row or its errors."""
    table = get_listed(table_name)
    form = current_request().form
    state = ListState.of_arguments(table, current_request().args)
    rows = rows_of_form(form)
    if form.get("step") == "add":
        return list_page(table, [*rows, ConditionRow(AND)])
    if (removed := form.get("step", "").removeprefix("remove-")).isdecimal():
        return list_page(table, [row for at, row in enumerate(rows) if str(at) != removed])
    query, checked = query_of_rows(resolve_names(rows, table, caller()), table.entries)
    if any(row.error for row in checked):
        return list_page(table, checked, 400)
    return redirect(list_url(table.name, **state.with_conditions(query).arguments()))


@bp.post("/<table_name>/columns")
def columns_view(table_name: str) -> ResponseReturnValue:
    """Remember the columns that the user has chosen for the lists of a table."""
    table = get_listed(table_name)
    form = current_request().form
    readable = readable_columns(table, caller())
    names = [] if form.get("step") == "reset" else [name for name in form.getlist("column") if name in readable]
    chosen = ",".join(names[:MOST_COLUMNS])
    set_preference(caller(), preference_of(table), chosen)
    commit()
    flash("The columns are saved." if chosen else "The list shows its default columns.")
    return redirect(_back_to(table))


@bp.post("/<table_name>/saved-filters")
def save_filter_view(table_name: str) -> ResponseReturnValue:
    """Save the query of the list under a title."""
    table = get_listed(table_name)
    title = current_request().form.get("title", "")
    saved_filters.save_filter(table, caller(), title, current_request().args.get(QUERY, ""))
    commit()
    flash(f"The filter “{title.strip()}” is saved.")
    return redirect(_back_to(table))


@bp.post("/<table_name>/saved-filters/<sys_id>/delete")
def delete_filter_view(table_name: str, sys_id: str) -> ResponseReturnValue:
    """Delete a saved filter."""
    saved_filters.delete_filter(caller(), sys_id)
    commit()
    flash("The filter is deleted.")
    return redirect(_back_to(get_listed(table_name)))


@bp.post("/<table_name>/update")
def bulk_view(table_name: str) -> ResponseReturnValue:
    """Set a field of the selected records, each on its own, and show the result for each."""
    table = get_listed(table_name)
    form = current_request().form
    results = bulk.update_records(table, caller(), form.getlist("sys_id"), form.get("field", ""), form.get("value", ""))
    return render_template(
        "console/records/bulk_result.html",
        table=table,
        plural=plural_of(table),
        results=results,
        back=_back_to(table),
        record_url=record_url,
    )


@bp.get("/<table_name>/export/<file_format>")
def export_view(table_name: str, file_format: str) -> Response:
    """Return the records of a list, up to `MOST_EXPORTED`, with the columns that the list shows."""
    if file_format not in FORMATS:
        raise RecordNotFound
    table = get_listed(table_name)
    state = ListState.of_arguments(table, current_request().args)
    columns = columns_of(table, caller(), state.fields)
    records = read_list(table, caller(), state.query, columns, limit=MOST_EXPORTED, offset=0).records
    render, mimetype = FORMATS[file_format]
    disposition = f'attachment; filename="{table.name}.{file_format}"'
    return Response(render(table, columns, records), mimetype=mimetype, headers={"Content-Disposition": disposition})


def _labeled(table: Table, names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, table.entries[name].label) for name in names]


def _builder(table: Table, fields: Sequence[str]) -> Mapping[str, Any]:
    """Return what the condition builder offers: fields with their kinds, and the operators of each kind."""
    possible = operators_of(table)
    return {
        "joins": JOINS,
        "fields": [(name, table.entries[name].label, kind_of(table.entries[name])) for name in fields],
        "references": {name: entry.reference for name in fields if (entry := table.entries[name]).kind in NAMING},
        "operators": [each for each in OPERATORS if possible is None or each.name in possible],
        "times": {"periods": PERIODS, "relative-times": EXAMPLES},
        "encoded": ENCODED,
    }


def _back_to(table: Table) -> str:
    """Return the path of the list that the form was sent from, whose arguments are those of the request."""
    return list_url(table.name, **ListState.of_arguments(table, current_request().args).arguments())
