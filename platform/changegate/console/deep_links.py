"""ServiceNow's deep links to records and lists, as used in notifications, scripts, and chat messages."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, redirect
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from changegate.console.guards import caller, require_login
from changegate.console.records.list_state import QUERY
from changegate.console.records.pages import list_url, record_url
from changegate.errors import RecordNotFound
from changegate.services.catalog import TABLES
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, find_table, get_table
from changegate.unproxied import current_request

_PAGE = re.compile(r"/?(?P<name>[a-z0-9_]+?)(?P<list>_list)?\.do")
bp = Blueprint("deep_links", __name__)
bp.before_request(require_login)


class ServedTable(BaseConverter):
    """The name of a table in a path; the paths of other names, such as /oauth_token.do, stay free for others."""

    regex = f"(?:{'|'.join(TABLES)})"


@bp.get("/<served_table:name>.do")
def record_view(name: str) -> ResponseReturnValue:
    """Redirect to the record with a `sys_id`, or to the first that `sysparm_query` finds; raises `RecordNotFound`."""
    return _go_to_record(get_table(name), current_request().args)


@bp.get("/<served_table:name>_list.do")
def list_view(name: str) -> ResponseReturnValue:
    """Redirect to the list of a table, with its filter."""
    return _go_to_list(get_table(name), current_request().args)


@bp.get("/nav_to.do")
def frame_view() -> ResponseReturnValue:
    """Redirect to the link in `uri`; raises `RecordNotFound` unless it is one of the links above."""
    sent = current_request()
    try:
        target = urlsplit(sent.args.get("uri", ""))
    except ValueError:
        raise RecordNotFound from None
    # Only the paths of this console: any other target would make this page an open redirect.
    if target.scheme or target.netloc:
        raise RecordNotFound
    page = _PAGE.fullmatch(target.path)
    table = find_table(page["name"]) if page else None
    if page is None or table is None:
        raise RecordNotFound
    go_to = _go_to_list if page["list"] else _go_to_record
    return go_to(table, dict(parse_qsl(target.query)) | {key: each for key, each in sent.args.items() if key != "uri"})


def _go_to_list(table: Table, arguments: Mapping[str, str]) -> ResponseReturnValue:
    query = arguments.get(QUERY)
    return redirect(list_url(table.name, **({QUERY: query} if query else {})))


def _go_to_record(table: Table, arguments: Mapping[str, str]) -> ResponseReturnValue:
    sys_id = arguments.get("sys_id") or _find_first(table, arguments.get(QUERY, ""))
    url = record_url(table.name, sys_id) if sys_id else None
    if url is None:
        raise RecordNotFound
    return redirect(url)


def _find_first(table: Table, text: str) -> str:
    query = parse_encoded_query(text)
    if not query.alternatives:
        return ""
    # Read with the caller's access, so that the link does not reveal whether a hidden record exists.
    page = read_page(table, caller(), query, Shape("", fields=("sys_id",)), limit=1, offset=0)
    return next((record["sys_id"] for record in page.records), "")
