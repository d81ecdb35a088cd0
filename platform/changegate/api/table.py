"""The Table API: docs/reference/table-api.md."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response

from changegate.api import request_body
from changegate.api.auth import require_caller, require_scope
from changegate.api.envelopes import api_response, empty_response, is_body_unwanted, refusal
from changegate.api.negotiation import require_acceptable
from changegate.api.preconditions import etag, etag_of, if_match, is_known_to_reader
from changegate.api.tinyurl import restore_query
from changegate.database import commit
from changegate.extensions import settings
from changegate.schemas.table_query import LONGEST_CACHED_QUERY, TableParameters, load_parameters, parse_parameters
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.queries.name_values import narrow_query
from changegate.services.tables.reading.records import Page, open_record, read_page, render_written
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.idempotency import create_once
from changegate.services.tables.writing.ignored_fields import EMPTY_BODY, list_names
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.unproxied import current_request

REST_API = "now/table"
IGNORED_FIELDS = "X-Changegate-Ignored-Fields"
NOTHING_MATCHES = "Records matching query not found. Check query parameter or offset parameter"
bp = Blueprint("table", __name__)
bp.before_request(require_caller)
bp.before_request(require_acceptable)
bp.before_request(restore_query)
# The parameters in which the links to pages differ.
PLACE = frozenset({"sysparm_limit", "sysparm_offset", "sysparm_after"})
V1_PREFIX = "/api/now/v1/"
# Clients reject responses with a header that is too long: aiohttp at 8,190 characters, http.client at 65,536.
LONGEST_LINKS = 8_000
LONGEST_LINK = 60_000


@bp.get("/<table_name>")
def list_view(table_name: str) -> Response:
    """Return a page of records."""
    sent = current_request()
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    params = load_parameters(sent.query_string)
    query = narrow_query(parse_encoded_query(params.query), params.filters)
    place = {"limit": params.limit, "offset": params.offset}
    page = read_page(table, who, query, _shape(params), **place, after=params.after, counts=not params.no_count)
    if not page.records and sent.path.startswith(V1_PREFIX):
        raise refusal(404, "No Record found", NOTHING_MATCHES)
    return api_response({"result": page.records}, headers=_page_headers(page, params))


@bp.get("/<table_name>/<sys_id>")
def get_view(table_name: str, sys_id: str) -> Response:
    """Return a record."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    shape = _shape(load_parameters(current_request().query_string))
    record = open_record(table, who, sys_id, shape)
    tag = etag(record.version)
    if record.is_plain and is_known_to_reader(record.version):
        return empty_response(304, tag)
    return api_response({"result": record.render()}, headers=tag)


@bp.post("/<table_name>")
def create_view(table_name: str) -> Response:
    """Create a record; with an `Idempotency-Key`, only once."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    sent = current_request()
    params = load_parameters(sent.query_string)
    ignored: list[str] = []
    record = _create(table, who, params, sent.headers.get("Idempotency-Key"), ignored)
    location = f"{settings().base_url}{sent.path.rstrip('/')}/{record['sys_id']}"
    headers = {"Location": location} | etag_of(record) | _ignored_header(ignored) | _related_header(table, record)
    shown = None if is_body_unwanted() else render_written(table, who, record, _shape(params))
    # Commit last, so that a call that fails while its response is built has written nothing.
    commit()
    return empty_response(201, headers) if shown is None else api_response({"result": shown}, 201, headers)


@bp.route("/<table_name>/<sys_id>", methods=["PUT", "PATCH"])
def update_view(table_name: str, sys_id: str) -> Response:
    """Change the sent fields; PUT and PATCH are equivalent (docs/reference/table-api.md#paths-and-methods)."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    params = load_parameters(current_request().query_string)
    sent = request_body.read_record()
    ignored: list[str] = []
    by_display = params.input_display_value
    values = update_record(
        table, who, sys_id, sent, input_display_value=by_display, ignored=ignored, condition=if_match()
    )
    record = dict(zip(table.fields_for(who.permissions), values, strict=True))
    shown = None if is_body_unwanted() else render_written(table, who, record, _shape(params))
    commit()
    headers = etag_of(record) | _ignored_header(ignored)
    return empty_response(200, headers) if shown is None else api_response({"result": shown}, headers=headers)


@bp.delete("/<table_name>/<sys_id>")
def delete_view(table_name: str, sys_id: str) -> Response:
    """Delete a record."""
    table = get_table(table_name)
    delete_record(table, require_scope(REST_API, table.name), sys_id, condition=if_match())
    commit()
    return empty_response(204)


def _create(
    table: Table, who: Caller, params: TableParameters, key: str | None, ignored: list[str]
) -> Mapping[str, Any]:
    sent, is_by_display = request_body.read_record(), params.input_display_value
    if key is None:
        return create_record(table, who, sent, input_display_value=is_by_display, ignored=ignored)
    return create_once(table, who, key, sent, input_display_value=is_by_display, ignored=ignored)


def _related_header(table: Table, record: Mapping[str, Any]) -> dict[str, str]:
    """Return the Link header to what belongs to a new record."""
    if table.related_path is None:
        return {}
    return {"Link": f'<{settings().base_url}{table.related_path(record)}>;rel="related"'}


def _ignored_header(ignored: list[str]) -> dict[str, str]:
    """Return the header that lists the fields which a write ignored."""
    if not ignored:
        return {}
    return {IGNORED_FIELDS: EMPTY_BODY if ignored == [EMPTY_BODY] else list_names(ignored)}


def _shape(params: TableParameters) -> Shape:
    return Shape(
        link_base=f"{settings().base_url}/api/{REST_API}",
        display_value=DisplayValue(params.display_value),
        exclude_reference_link=params.exclude_reference_link,
        fields=params.field_names,
    )


def _page_headers(page: Page, params: TableParameters) -> dict[str, str]:
    headers = {"X-Total-Count": str(page.total)} if page.is_counted else {}
    has_others = page.has_more or params.offset > 0
    if not params.suppress_pagination_header and params.limit and has_others:
        headers |= _link_header(page, params.limit, params.offset)
    return headers


def _link_header(page: Page, limit: int, offset: int) -> dict[str, str]:
    """Return the Link header: for a long query with the next page only, for a very long query empty."""
    sent = current_request()
    start = f"{settings().base_url}{sent.path}?{_kept_parameters(sent.query_string)}sysparm_limit={limit}"
    links = {rel: f'<{start}&sysparm_offset={place}>;rel="{rel}"' for rel, place in _pages(page, limit, offset)}
    whole = ",".join(links.values())
    if len(whole) > LONGEST_LINKS:
        whole = links.get("next", "")
    return {"Link": whole} if 0 < len(whole) <= LONGEST_LINK else {}


def _pages(page: Page, limit: int, offset: int) -> list[tuple[str, str]]:
    """Return the relation and the place of each linked page."""
    pages = [("first", "0")]
    if offset > 0:
        pages.append(("prev", str(max(0, offset - limit))))
    if page.has_more:
        key = f"&{urlencode({'sysparm_after': page.next_key})}" if page.next_key else ""
        pages.append(("next", f"{offset + limit}{key}"))
    if page.is_counted:
        pages.append(("last", str(max(0, (page.total - 1) // limit * limit))))
    return pages


def _kept_parameters(query_string: bytes) -> str:
    """Return the common part of all page links, up to the parameters that differ."""
    return _remembered_kept(query_string) if len(query_string) <= LONGEST_CACHED_QUERY else _kept(query_string)


def _kept(query_string: bytes) -> str:
    sent = parse_parameters(query_string)
    kept = {name: value for name, value in sent.items() if name not in PLACE}
    return f"{urlencode(kept)}&" if kept else ""


_remembered_kept = lru_cache(maxsize=256)(_kept)
