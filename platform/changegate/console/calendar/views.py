"""The calendar page, and the management of its feeds."""

from datetime import timedelta

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.calendar.days import MOST_SHOWN, days_of, planned_change
from changegate.console.calendar.feeds import FIELDS, render_feed
from changegate.console.calendar.state import FILTERS, MONTH, CalendarState, query_of
from changegate.console.guards import allow_anyone, caller, require_login
from changegate.console.local_times import time_zone
from changegate.console.records.pages import list_url
from changegate.database import commit
from changegate.errors import RecordNotFound
from changegate.extensions import now, settings
from changegate.services.schedules.freezes import blocked_spans
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query, render_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import caller_of
from changegate.services.users.calendar_feeds import create_feed, list_feeds, read_feed, revoke_feed
from changegate.unproxied import current_request

MOST_PLANNED = 1000
FEED_BEFORE, FEED_AFTER = timedelta(days=30), timedelta(days=365)
SHOWN = ("sys_id", "number", "short_description", "state", "conflict_status", "start_date", "end_date")
bp = Blueprint("calendar", __name__, url_prefix="/calendar")
bp.before_request(require_login)
feed_bp = Blueprint("calendar_feed", __name__, url_prefix="/calendar/feeds")
feed_bp.before_request(allow_anyone)


@bp.get("")
def month_view() -> str:
    """Show a month or week of the planned changes that the user may see, with freezes."""
    return _page(CalendarState.of_arguments(current_request().args))


def _page(state: CalendarState, new_feed: str | None = None) -> str:
    query, zone = query_of(state.filter_query, state.interval), time_zone()
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=SHOWN)
    page = read_page(get_table("change_request"), caller(), query, shape, limit=MOST_PLANNED, offset=0)
    changes = [planned_change(record, zone) for record in page.records]
    freezes = blocked_spans(None, *state.interval)
    month = state.day.month if state.view == MONTH else None
    today = now().astimezone(zone).date()
    days = list(days_of(state.days, month, changes, freezes, zone, today, MOST_SHOWN[state.view]))
    return render_template(
        "console/calendar/page.html",
        wanted=state,
        weeks=[days[at : at + 7] for at in range(0, len(days), 7)],
        legend=sorted({(each.state, each.state_label) for each in changes}, key=lambda shown: int(shown[0])),
        freeze_kinds=sorted({each.freeze.is_hard for each in freezes}),
        has_conflict=any(each.has_conflict for each in changes),
        total=page.total,
        most=MOST_PLANNED,
        filters=FILTERS,
        feeds=list_feeds(caller().sys_id),
        new_feed=new_feed,
        list_url=list_url("change_request", sysparm_query=render_encoded_query(query)),
    )


@bp.post("/feeds")
def create_feed_view() -> str:
    """Make a feed of the changes that the calendar shows, and show its address, of which only a hash is stored."""
    state = CalendarState.of_arguments(current_request().args)
    query = render_encoded_query(state.filter_query)
    token = create_feed(caller().sys_id, current_request().form.get("name", ""), query)
    commit()
    return _page(state, f"{settings().base_url}{url_for('calendar_feed.feed_view', token=token)}")


@bp.post("/feeds/<token_hash>/revoke")
def revoke_feed_view(token_hash: str) -> ResponseReturnValue:
    """Revoke a feed."""
    revoke_feed(caller().sys_id, token_hash)
    commit()
    flash("The feed is revoked. Its address leads nowhere now.")
    return redirect(url_for("calendar.month_view"))


@feed_bp.get("/<token>.ics")
def feed_view(token: str) -> Response:
    """Return the feed of a secret address, with the changes that its user may see."""
    user, feed = read_feed(token, current_request().remote_addr or "")
    query = query_of(parse_encoded_query(feed.query), (now() - FEED_BEFORE, now() + FEED_AFTER))
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=FIELDS)
    changes, reader = get_table("change_request"), caller_of(user)
    page = read_page(changes, reader, query, shape, limit=MOST_PLANNED, offset=0, counts=False)
    return Response(render_feed(feed.name, page.records), mimetype="text/calendar")


@feed_bp.errorhandler(RecordNotFound)
def missing_feed(_problem: RecordNotFound) -> Response:
    """Return a plain answer: a calendar program shows no page."""
    return Response("There is no such feed.\n", 404, mimetype="text/plain")
