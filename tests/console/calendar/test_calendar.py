"""The calendar page and the feeds that calendar programs read."""

import html
import re
from datetime import UTC, date, timedelta

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.console.calendar.days import days_of
from changegate.extensions import db
from changegate.models import CalendarFeed, SysUser
from changegate.models.base import utc_now
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor, forms_of

WINDOW = {"start_date": "2027-03-10 10:00:00", "end_date": "2027-03-10 12:00:00"}
MARCH = "/calendar?day=2027-03-15"


def days_in(page: TestResponse) -> dict[str, list[str]]:
    """Return the changes of each day that has any, by date."""
    cells = re.findall(r'<td class="[^"]*">.*?</td>', page.text, re.DOTALL)
    found = {
        re.findall(r'datetime="([^"]+)"', cell)[0]: [
            " ".join(html.unescape(re.sub("<[^>]+>", "", each)).split())
            for each in re.findall(r'<a class="planned.*?</a>', cell, re.DOTALL)
        ]
        for cell in cells
    }
    return {day: changes for day, changes in found.items() if changes}


def make_feed(visitor: Visitor, path: str = MARCH) -> str:
    """Make a feed of what a calendar shows, and return the path of its address."""
    page = visitor.send(visitor.open(path), "new-feed", {"name": "Mine"})
    found = re.search(r'<code id="feed-url">https?://[^/]+([^<]+)</code>', page.text)
    assert found is not None
    return found[1]


def summaries_in(answer: TestResponse) -> list[str]:
    """Return the summaries of a feed."""
    return [str(event["summary"]) for event in Calendar.from_ical(answer.data).walk("VEVENT")]


def test_a_change_is_on_each_day_of_its_window(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Night work", start_date="2027-03-10 22:00:00", end_date="2027-03-12 00:00:00")
    make_change(short_description="Elsewhere", start_date="2027-05-01 00:00:00", end_date="2027-05-01 01:00:00")
    make_change(short_description="Canceled", state="4", **WINDOW)
    assert days_in(admin.open(MARCH)) == {"2027-03-10": ["22:00 Night work"], "2027-03-11": ["Night work"]}


def test_days_are_those_of_the_users_time_zone(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Late", start_date="2027-03-28 22:30:00", end_date="2027-03-28 23:00:00")
    admin.send(admin.open("/preferences"), "preferences", {"time_zone": "Europe/Berlin"})
    # The clocks change at one in the morning, UTC, of that day.
    assert days_in(admin.open(MARCH)) == {"2027-03-29": ["00:30 Late"]}


def test_a_week_shows_seven_days(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Patch", **WINDOW)
    page = admin.open("/calendar?view=week&day=2027-03-12")
    assert (page.text.count("<time datetime="), days_in(page)) == (7, {"2027-03-10": ["10:00 Patch"]})
    assert "08 March to 14 March 2027" in page.text


def test_names_the_colors_that_it_shows(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Patch", **WINDOW)
    legend = re.search(r'<ul class="legend".*?</ul>', admin.open(MARCH).text, re.DOTALL)
    assert legend is not None
    assert ("New" in legend[0], "Closed" in legend[0], "freeze" in legend[0]) == (True, False, False)
    assert 'class="legend"' not in admin.open("/calendar?day=2031-03-15").text


def test_days_before_the_present_one_are_past_in_its_month_alone() -> None:
    week = [date(2027, 3, 8 + at) for at in range(7)]

    def past_on(today: date) -> list[date]:
        return [each.day for each in days_of(week, None, [], [], UTC, today, 4) if each.is_past]

    assert (past_on(date(2027, 3, 10)), past_on(date(2027, 4, 1))) == (week[:2], [])


def test_filters_by_group(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    with app.app_context():
        for name in ("Network", "Storage"):
            create_record(get_table("sys_user_group"), ROOT, {"name": name})
        db.session.commit()
    for name in ("Network", "Storage"):
        make_change(short_description=name, assignment_group=name, **WINDOW)
    assert days_in(admin.open(f"{MARCH}&assignment_group=Network")) == {"2027-03-10": ["10:00 Network"]}


@pytest.mark.parametrize("items", ["", "payments"])
def test_a_freeze_is_shown_in_the_time_zone_of_its_schedule(app: Flask, admin: Visitor, items: str) -> None:
    with app.app_context():
        item = create_record(get_table("cmdb_ci"), ROOT, {"name": "payments"})["sys_id"] if items else ""
        freeze = {"name": "Year end", "time_zone": "Europe/Berlin", "active": "true", "configuration_items": item}
        schedule = create_record(get_table("cmn_schedule_blackout"), ROOT, freeze)["sys_id"]
        day = {"start_date_time": "2027-03-10 00:00:00", "end_date_time": "2027-03-11 00:00:00"}
        span = {"schedule": schedule, "name": "x", **day}
        create_record(get_table("cmn_schedule_span"), ROOT, span)
        db.session.commit()
    text = html.unescape(admin.open(MARCH).text)
    assert "2027-03-10 00:00 to 2027-03-11 00:00 Europe/Berlin" in text


@pytest.mark.parametrize(
    "query", ["day=x", "day=0001-01-01", "day=9999-12-31", "view=year", "cmdb_ci=%00", "day=2027-02-30"]
)
def test_invalid_arguments_are_ignored(admin: Visitor, query: str) -> None:
    assert admin.open(f"/calendar?{query}").status_code == 200


def test_users_see_what_they_may_read(sign_in: SignIn, make_change: MakeChange) -> None:
    nora = sign_in("nora")
    make_change(short_description="Hidden", **WINDOW)
    make_change(short_description="Own", requested_by="nora", **WINDOW)
    assert days_in(nora.open(MARCH)) == {"2027-03-10": ["10:00 Own"]}


def test_a_feed_has_the_changes_that_its_user_may_see(app: Flask, sign_in: SignIn, make_change: MakeChange) -> None:
    nora = sign_in("nora")
    path = make_feed(nora)
    soon = soon_window()
    make_change(short_description="Hidden", **soon)
    make_change(short_description="Own\nEND:VEVENT", requested_by="nora", comments="Secret words", **soon)
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
    assert summaries_in(answer) == ["CHG0030002 Own\nEND:VEVENT"]
    assert "Secret words" not in answer.text


def soon_window() -> dict[str, str]:
    """Return a window of tomorrow."""
    starts = utc_now() + timedelta(days=1)
    ends = starts + timedelta(hours=1)
    return {"start_date": f"{starts:%Y-%m-%d %H:%M:%S}", "end_date": f"{ends:%Y-%m-%d %H:%M:%S}"}


def test_a_revoked_feed_leads_nowhere(app: Flask, sign_in: SignIn) -> None:
    nora, rita = sign_in("nora"), sign_in("rita")
    path = make_feed(nora)
    page = nora.open(MARCH)
    [form] = [name for name in forms_of(page).forms if name.endswith("/revoke")]
    token = re.findall(r'name="csrf_token" value="([^"]+)"', rita.open(MARCH).text)[0]
    assert rita.client.post(form, data={"csrf_token": token}).status_code == 404
    assert app.test_client().get(path).status_code == 200
    nora.send(page, form)
    assert app.test_client().get(path).status_code == 404


def test_the_feed_of_a_user_who_may_not_sign_in_leads_nowhere(app: Flask, sign_in: SignIn) -> None:
    path = make_feed(sign_in("nora"))
    with app.app_context():
        nora = db.session.execute(select(SysUser.sys_id).filter_by(user_name="nora")).scalar_one()
        update_record(get_table("sys_user"), ROOT, nora, {"active": "false"})
        db.session.commit()
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")


def test_only_the_hash_of_a_secret_is_stored_and_no_page_shows_it_again(app: Flask, admin: Visitor) -> None:
    path = make_feed(admin)
    token = path.rpartition("/")[2].removesuffix(".ics")
    with app.app_context():
        stored = db.session.execute(select(CalendarFeed)).scalar_one()
        assert token not in (stored.token_hash, stored.name, stored.query)
    assert token not in admin.open(MARCH).text


def test_guesses_of_secrets_are_limited(app: Flask) -> None:
    client = app.test_client()
    answers = [client.get(f"/calendar/feeds/{'x' * 43}.ics").status_code for _ in range(25)]
    assert (answers[0], answers[-1]) == (404, 429)
