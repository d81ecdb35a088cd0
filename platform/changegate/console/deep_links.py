"""ServiceNow's deep links to records and lists, as used in notifications, scripts, and chat messages."""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.errors import RecordNotFound
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

NUMBER = "number="
bp = Blueprint("deep_links", __name__)
bp.before_request(require_login)


@bp.get("/change_request.do")
def record_view() -> ResponseReturnValue:
    """Redirect to the change with the given `sys_id` or `sysparm_query=number=…`; raises `RecordNotFound`."""
    return _go_to_record(current_request().args)


@bp.get("/change_request_list.do")
def list_view() -> ResponseReturnValue:
    """Redirect to the list of changes."""
    return _go_to_list(current_request().args)


@bp.get("/nav_to.do")
def frame_view() -> ResponseReturnValue:
    """Redirect to the link in `uri`; raises `RecordNotFound` unless it is one of the links above."""
    sent = current_request()
    try:
        target = urlsplit(sent.args.get("uri", ""))
    except ValueError:
        raise RecordNotFound from None
    # Only the paths of this list: any other target would make this page an open redirect.
    lead = _LEADS.get(target.path.removeprefix("/"))
    if lead is None or target.scheme or target.netloc:
        raise RecordNotFound
    return lead(dict(parse_qsl(target.query)) | {name: value for name, value in sent.args.items() if name != "uri"})


def _go_to_record(arguments: Mapping[str, str]) -> ResponseReturnValue:
    sys_id, query = arguments.get("sys_id", ""), arguments.get("sysparm_query", "")
    if not sys_id and query.startswith(NUMBER):
        sys_id = _find_by_number(query.removeprefix(NUMBER))
    if not sys_id:
        raise RecordNotFound
    return redirect(url_for("change_requests.record_view", sys_id=sys_id))


def _find_by_number(number: str) -> str:
    table = get_table("change_request")
    query = EncodedQuery((((Condition("number", "=", number),),),))
    # Read with the caller's access, so that the link does not reveal whether a hidden record exists.
    page = read_page(table, caller(), query, Shape("", fields=("sys_id",)), limit=1, offset=0)
    return next((record["sys_id"] for record in page.records), "")


def _go_to_list(arguments: Mapping[str, str]) -> ResponseReturnValue:
    if arguments.get("sysparm_query"):
        flash("The list shows all changes: the console does not read the filter of the link.")
    return redirect(url_for("change_requests.list_view"))


_LEADS: Mapping[str, Callable[[Mapping[str, str]], ResponseReturnValue]] = {
    "change_request.do": _go_to_record,
    "change_request_list.do": _go_to_list,
}
