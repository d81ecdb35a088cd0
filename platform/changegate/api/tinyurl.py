"""Tiny URLs: docs/reference/other-apis.md#tiny-urls."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from flask import Blueprint, Response

from changegate.api.auth import caller, require_caller
from changegate.api.envelopes import api_response
from changegate.api.negotiation import require_acceptable
from changegate.api.request_body import read_object
from changegate.database import commit
from changegate.errors import RequestUnreadable, ScopeMissing
from changegate.models.auth_scope import API_VERSIONS
from changegate.schemas.table_query import parse_parameters
from changegate.services.access.scope_policy import ApiCall
from changegate.services.catalog import TABLES
from changegate.services.tables.queries.tiny_urls import get_query, store_query
from changegate.services.tables.registry import Table, get_table
from changegate.unproxied import current_request

PARAMETER = "sysparm_tiny"
READS = frozenset({"GET", "HEAD"})
# The APIs that call `restore_query`.
SHORTENED = re.compile(
    r"/api/now(?:/(?P<version>v[12]))?/(?:(?P<api>table|stats)/(?P<table>[^/]+)(?:/.*)?|attachment/?)"
)
bp = Blueprint("tinyurl", __name__)
bp.before_request(require_caller)
bp.before_request(require_acceptable)


@bp.post("/tinyurl")
def create_view() -> Response:
    """Store the query of a URL and return its token, if the caller may read there; each use is checked again."""
    parts = _split(read_object().get("url"))
    path = unquote(parts.path)
    match = SHORTENED.fullmatch(path)
    if match is None:
        raise RequestUnreadable("url: an address of the Table, Aggregate or Attachment API is expected")
    table = get_table(match["table"] or "sys_attachment")
    _require_readable(match["api"], table, match["version"] or API_VERSIONS[-1])
    token = store_query(caller(), path.rstrip("/"), parts.query)
    commit()
    return api_response({"result": f"{table.name}_list.do?{PARAMETER}={token}"})


def _require_readable(api: str | None, table: Table, version: str) -> None:
    """Raise `ScopeMissing` if an access token may not read there.

    For attachments, the scope of one table is enough.
    """
    read = [table] if api else TABLES.values()
    calls = [ApiCall(f"now/{api or 'attachment'}", "GET", each.name, version) for each in read]
    if not any(caller().permissions.has_scope(call) for call in calls):
        raise ScopeMissing(*calls)


def restore_query() -> None:
    """Replace a token by the stored query before any other code reads the query string.

    Raises `RequestUnreadable` if the token is unknown, or was made by another user or for another path.
    """
    sent = current_request()
    if PARAMETER.encode() not in sent.query_string or sent.method not in READS:
        return
    token = parse_parameters(sent.query_string).get(PARAMETER)
    if token:
        sent.query_string = get_query(caller(), token, sent.path.rstrip("/")).encode()


def _split(url: object) -> SplitResult:
    if not isinstance(url, str) or "\0" in url:
        raise RequestUnreadable("url: an address is expected")
    try:
        return urlsplit(url)
    except ValueError as problem:
        raise RequestUnreadable(f"url: {problem}") from None
