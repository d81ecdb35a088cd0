"""The Table API: rest_api.md §1."""

from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from changegate.api.auth import caller, require_caller, require_scope
from changegate.api.envelopes import json_response, refusal
from changegate.errors import RequestUnreadable
from changegate.extensions import db, settings
from changegate.schemas.table_query import TableQuerySchema
from changegate.services.tables.catalog import get_table
from changegate.services.tables.display import DisplayValue, Shape, render_records
from changegate.services.tables.encoded_query import parse_encoded_query
from changegate.services.tables.reading import Page, get_record, list_records
from changegate.services.tables.records import create_record, delete_record, update_record
from changegate.services.tables.registry import Table

REST_API = "now/table"
NOTHING_MATCHES = "Records matching query not found. Check query parameter or offset parameter"
bp = Blueprint("table", __name__)
bp.before_request(require_caller)
ANY = "*/*"
V1_PREFIX = "/api/now/v1/"
_schema = TableQuerySchema()
_defaults: dict[str, Any] = _schema.load({})


@bp.before_request
def require_json_accepted() -> None:
    """Refuse a caller who takes no JSON, which is the one form that records are served in."""
    if request.headers.get("Accept", ANY) in {ANY, "application/json"}:
        return  # what nearly everybody sends needs no parsing
    if request.accept_mimetypes and not request.accept_mimetypes.accept_json:
        raise refusal(406, "Unsupported media type", "Only application/json is served")


@bp.get("/<table_name>")
def list_view(table_name: str) -> Response:
    """Answer a page of records."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    params = _parameters()
    query = parse_encoded_query(params["query"])
    page = list_records(table, who, query, limit=params["limit"], offset=params["offset"])
    if not page.rows and request.path.startswith(V1_PREFIX):
        raise refusal(404, "No Record found", NOTHING_MATCHES)
    records = render_records(table, page.rows, table.fields_for(who), _shape(params))
    return json_response({"result": records}, headers=_page_headers(page, params))


@bp.get("/<table_name>/<sys_id>")
def get_view(table_name: str, sys_id: str) -> Response:
    """Answer one record."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    return _record_response(table, get_record(table, who, sys_id))


@bp.post("/<table_name>")
def create_view(table_name: str) -> Response:
    """Create a record."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    record = create_record(table, who, _body())
    db.session.commit()
    location = f"{settings().base_url}{request.path.rstrip('/')}/{record['sys_id']}"
    row = [record[name] for name in table.fields_for(who)]
    return _record_response(table, row, 201, {"Location": location})


@bp.route("/<table_name>/<sys_id>", methods=["PUT", "PATCH"])
def update_view(table_name: str, sys_id: str) -> Response:
    """Change the sent fields; PUT and PATCH mean the same here (rest_api.md §1.1)."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    record = update_record(table, who, sys_id, _body())
    db.session.commit()
    return _record_response(table, record)


@bp.delete("/<table_name>/<sys_id>")
def delete_view(table_name: str, sys_id: str) -> Response:
    """Delete a record."""
    table = get_table(table_name)
    delete_record(table, require_scope(REST_API, table.name), sys_id)
    db.session.commit()
    return Response(status=204)


def _parameters() -> dict[str, Any]:
    if not request.args:
        return _defaults
    loaded: dict[str, Any] = _schema.load({name: values[-1] for name, values in request.args.lists()})
    return loaded


def _shape(params: dict[str, Any]) -> Shape:
    return Shape(
        link_base=f"{settings().base_url}/api/{REST_API}",
        display_value=DisplayValue(params["display_value"]),
        exclude_reference_link=params["exclude_reference_link"],
        fields=params["field_names"],
    )


def _record_response(table: Table, record: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    [rendered] = render_records(table, [record], table.fields_for(caller()), _shape(_parameters()))
    return json_response({"result": rendered}, status, headers)


def _body() -> dict[str, Any]:
    """Return the record sent; of a list, only the first is processed (rest_api.md §1.1)."""
    if request.mimetype not in {"", "application/json"}:
        raise refusal(415, "Unsupported media type", f"{request.mimetype[:100]} is not application/json")
    data = request.get_data()
    try:
        sent = orjson.loads(data) if data.strip() else {}
    except orjson.JSONDecodeError as problem:
        raise RequestUnreadable(f"The body is no JSON: {problem}") from None
    if isinstance(sent, list) and sent:
        sent = sent[0]
    if not isinstance(sent, dict):
        raise RequestUnreadable("A JSON object is expected")
    return sent


def _page_headers(page: Page, params: dict[str, Any]) -> dict[str, str]:
    headers = {"X-Total-Count": str(page.total)}
    limit, offset = params["limit"], params["offset"]
    if not params["suppress_pagination_header"] and limit and (page.total > limit or offset):
        headers["Link"] = ",".join(f'<{_page_url(at, limit)}>;rel="{rel}"' for rel, at in _pages(page, limit, offset))
    return headers


def _pages(page: Page, limit: int, offset: int) -> list[tuple[str, int]]:
    last = max(0, (page.total - 1) // limit * limit)
    pages = [("first", 0)]
    if offset > 0:
        pages.append(("prev", max(0, offset - limit)))
    if offset + limit < page.total:
        pages.append(("next", offset + limit))
    return [*pages, ("last", last)]


def _page_url(offset: int, limit: int) -> str:
    args = {name: values[-1] for name, values in request.args.lists()}
    args |= {"sysparm_limit": str(limit), "sysparm_offset": str(offset)}
    return f"{settings().base_url}{request.path}?{urlencode(args)}"
