"""Calls of the Change Management API: lists, single records, and writes, for the records of any table.

A write differs from one of the Table API in its input, status, and form of answer, but runs the same engine.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response

from changegate.api import request_body
from changegate.api.auth import api_call, caller, require_caller
from changegate.api.envelopes import api_response, empty_response, is_body_unwanted
from changegate.api.negotiation import require_acceptable
from changegate.api.preconditions import etag, etag_of, if_match
from changegate.database import commit
from changegate.errors import OperationFailed, RecordNotFound, WriteAborted
from changegate.extensions import now, settings
from changegate.schemas.change_query import ChangeParameters, fields_of_parameters, load_list_parameters
from changegate.services.access.caller import Caller
from changegate.services.schedules.windows import render_windows, windows_of
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import (
    TEXT_SEARCH,
    Condition,
    EncodedQuery,
    Order,
    parse_encoded_query,
    render_encoded_query,
)
from changegate.services.tables.queries.name_values import add_conditions, narrow_query
from changegate.services.tables.reading.records import get_row, open_record, read_page, render_written
from changegate.services.tables.registry import Table
from changegate.services.tables.writing.idempotency import create_once
from changegate.services.tables.writing.ignored_fields import EMPTY_BODY
from changegate.services.tables.writing.inputs import values_of_labels
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.unproxied import current_request

REST_API = "sn_chg_rest/change"
META = "__meta"
CHANGE, TASK, MODEL, APPROVAL = "change_request", "change_task", "chg_model", "sysapproval_approver"
TEMPLATE = "std_change_record_producer"
TASK_CI, SERVICES = "task_ci", "task_cmdb_ci_service"
bp = Blueprint("change", __name__)
bp.before_request(require_caller)
bp.before_request(require_acceptable)
_UNKNOWN_DATE = {"display_value": "UNKNOWN", "display_value_internal": "", "value": ""}
SHAPE = Shape(
    link_base="",
    display_value=DisplayValue.ALL,
    exclude_reference_link=True,
    is_typed=True,
    when_empty={
        "activity_due": _UNKNOWN_DATE,
        "sla_due": _UNKNOWN_DATE,
        "variables": {"display_value": "variable_pool", "value": "variable_pool"},
    },
)


def list_records(
    table: Table, who: Caller, *conditions: Condition, order: str = "", unused: Collection[str] = ()
) -> Response:
    """Return a page of the records that match the parameters and the conditions; `order` is the default sort field.

    `unused` are parameters that are no conditions.
    """
    params = load_list_parameters(current_request().query_string)
    params = replace(params, filters={name: text for name, text in params.filters.items() if name not in unused})
    query = _query(params, conditions, params.order or order)
    page = read_page(table, who, query, SHAPE, limit=params.limit, offset=params.offset)
    records: Any = page.records
    if settings().change_api_list_meta:
        records = [*records, {META: _query_report(table, params, query)}]
    return api_response({"result": records}, headers={"X-Total-Count": str(page.total)})


def _query(params: ChangeParameters, conditions: tuple[Condition, ...], order: str) -> EncodedQuery:
    query = narrow_query(parse_encoded_query(params.query), params.filters)
    searched = (Condition(TEXT_SEARCH, "=", params.text_search),) if params.text_search else ()
    query = add_conditions(query, *searched, *conditions)
    return replace(query, orders=(*query.orders, Order(order))) if order else query


def _query_report(table: Table, params: ChangeParameters, query: EncodedQuery) -> dict[str, Any]:
    """Return the query that was run, and which `field=value` pairs named a field."""
    applied = [name for name in params.filters if name.lower().partition(".")[0] in table.entries]
    ignored = [name for name in params.filters if name not in applied]
    return {"encodedQuery": render_encoded_query(query), "fields": {"applied": applied, "ignored": ignored}}


def get_record(table: Table, who: Caller, sys_id: str) -> Response:
    """Return a record. Raises `RecordNotFound`."""
    record = open_record(table, who, sys_id, SHAPE)
    return api_response({"result": record.render()}, headers=etag(record.version))


def reader() -> Caller:
    """Return the caller with the limits of reading changes. Raises `RecordNotFound` if the token may not read any."""
    call = replace(api_call(REST_API, CHANGE), http_method="GET")
    if not caller().permissions.has_scope(call):
        raise RecordNotFound
    return caller().require_scope(call)


def require_record(table: Table, who: Caller, sys_id: str, **fields: str) -> None:
    """Check that the caller may see a record, and that it has these values. Raises `RecordNotFound`."""
    values = get_row(table, who, sys_id, ("sys_id", *fields))[1:]
    if tuple(values) != tuple(fields.values()):
        raise RecordNotFound


def create(table: Table, who: Caller, of_path: Mapping[str, str], *, left_out: Collection[str] = ()) -> Response:
    """Create a record with the fields that the path decides; with an `Idempotency-Key`, only once.

    The fields in `left_out` are ignored.
    """
    given = sent_fields(table)
    ignored = [
        name for name, value in given.items() if name.lower() in left_out or _differs(value, of_path.get(name.lower()))
    ]
    decided = {*of_path, *left_out}
    sent = {**{name: value for name, value in given.items() if name.lower() not in decided}, **of_path}
    key = current_request().headers.get("Idempotency-Key")
    with refusals(table, "created"):
        if key is None:
            record = create_record(table, who, sent, ignored=ignored)
        else:
            record = create_once(table, who, key, sent, ignored=ignored)
        further = {"windows": render_windows(windows_of(record, now()))} if table.name == CHANGE else {}
        return written(table, who, record, ignored, further)


def _differs(value: Any, decided: str | None) -> bool:
    return decided is not None and str(value).strip().lower() != decided


def update(table: Table, who: Caller, sys_id: str) -> Response:
    """Change the sent fields of a record."""
    ignored: list[str] = []
    with refusals(table, "updated"):
        values = update_record(table, who, sys_id, sent_fields(table), ignored=ignored, condition=if_match())
        record = dict(zip(table.fields_for(who.permissions), values, strict=True))
        return written(table, who, record, ignored)


def delete(table: Table, who: Caller, sys_id: str) -> Response:
    """Delete a record and return it as it was."""
    shown = open_record(table, who, sys_id, SHAPE).render()
    with refusals(table, "deleted"):
        delete_record(table, who, sys_id, condition=if_match())
        commit()
    return empty_response(200) if is_body_unwanted() else api_response({"result": shown})


def sent_fields(table: Table) -> dict[str, Any]:
    """Return the fields of a write: those of the parameters and those of the body, which take precedence.

    Choices may be sent as labels. Raises `MediaTypeUnsupported` and `RequestUnreadable`.
    """
    of_parameters = fields_of_parameters(current_request().query_string)
    return values_of_labels(table, {**of_parameters, **request_body.read_record()})


def written(
    table: Table,
    who: Caller,
    record: Mapping[str, Any],
    ignored: list[str],
    further: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    """Commit a write, and return the record as it is now with the ignored fields of the request, and further facts."""
    names = [name for name in ignored if name != EMPTY_BODY]
    shown = None
    if not is_body_unwanted():
        shown = render_written(table, who, record, SHAPE) | {META: {"ignoredFields": names, **further}}
    # Commit last, so that a call that fails while its response is built has written nothing.
    commit()
    headers = etag_of(record)
    return empty_response(200, headers) if shown is None else api_response({"result": shown}, headers=headers)


@contextmanager
def refusals(table: Table, done: str) -> Iterator[None]:
    """Raise `WriteAborted` if a rule aborts a write, with the sentence that clients of this API know."""
    try:
        yield
    except OperationFailed as refused:
        raise WriteAborted(f"{table.label} record could not be {done}. {refused.detail}") from refused
