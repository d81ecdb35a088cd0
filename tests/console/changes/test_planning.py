"""The planned time on the form of a change: conflicts and freezes before it is saved, and free times."""

import re
from datetime import datetime, timedelta

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import SysUser
from changegate.models.base import utc_now
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.console.changes.conftest import Desk
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor, forms_of

NEW = "/change-requests/new"


@pytest.fixture
def day() -> datetime:
    """Return a midnight to come."""
    return (utc_now() + timedelta(days=10)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def taken(app: Flask, make_change: MakeChange, day: datetime) -> str:
    """Plan a change for an item from eight to ten o'clock, before a freeze from twelve on; return the item's name."""
    with app.app_context():
        create_record(get_table("cmdb_ci"), ROOT, {"name": "Router 7"})
        freeze = create_record(get_table("cmn_schedule_blackout"), ROOT, {"name": "Year end", "time_zone": "Etc/UTC"})
        span = {"schedule": freeze["sys_id"], "start_date_time": at(day, 12), "end_date_time": at(day, 48)}
        create_record(get_table("cmn_schedule_span"), ROOT, span)
        db.session.commit()
    make_change(short_description="Other", cmdb_ci="Router 7", start_date=at(day, 8), end_date=at(day, 10))
    return "Router 7"


def at(day: datetime, hours: float) -> str:
    return f"{day + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


def planned(start: str, end: str, **fields: str) -> dict[str, str]:
    return {"short_description": "Patch", "start_date": start, "end_date": end, **fields}


def check(visitor: Visitor, path: str, **fields: str) -> str:
    """Send the form of a page to the check of its planned time; return the page that follows."""
    page = visitor.open(path)
    sent = {**forms_of(page).forms["record"], **fields}
    return visitor.client.post(f"{path.removesuffix('/edit')}/plan", data=sent).text


def window_in(text: str) -> list[str]:
    """Return the planned start and end in the inputs of a form."""
    return [re.findall(rf'name="{name}" value="([^"]*)"', text)[0] for name in ("start_date", "end_date")]


def slots_in(text: str) -> list[str]:
    return re.findall(r'name="slot" value="([^"]+)"', text)


def test_conflicts_and_freezes_are_shown_before_anything_is_saved(desk: Desk, taken: str, day: datetime) -> None:
    text = check(desk.tom, NEW, **planned(at(day, 9), at(day, 13), cmdb_ci=taken))
    assert re.search(r'CI Already Scheduled: <a href="/change-requests/\w+">CHG0030002</a>', text)
    assert re.search(r'Blackout: <a href="/records/cmn_schedule/\w+">Year end</a>', text)
    assert 'value="Patch"' in text
    assert "CHG0030003" not in desk.tom.open("/change-requests").text


def test_a_free_time_of_the_same_length_is_taken_with_one_button(desk: Desk, taken: str, day: datetime) -> None:
    text = check(desk.tom, NEW, **planned(at(day, 9), at(day, 11), cmdb_ci=taken))
    [first, second, third, *_] = slots_in(text)
    assert first.startswith(f"{day:%Y-%m-%d}T10:00:00")
    assert second.startswith(f"{day + timedelta(days=2):%Y-%m-%d}T00:00:00")
    # Also at the planned time of day.
    assert third.startswith(f"{day + timedelta(days=2):%Y-%m-%d}T09:00:00")
    chosen = check(desk.tom, NEW, **planned(at(day, 9), at(day, 11), cmdb_ci=taken, slot=first))
    assert window_in(chosen) == [at(day, 10), at(day, 12)]
    assert "The planned time has no conflict and no freeze." in chosen
    assert slots_in(chosen) == []


def test_no_free_time_begins_in_the_past(desk: Desk, taken: str, day: datetime) -> None:
    text = check(desk.tom, NEW, **planned("2020-01-01 00:00:00", at(day, 9), cmdb_ci=taken))
    assert "The planned time is not free" in text
    assert all(datetime.fromisoformat(slot.partition("/")[0]) > utc_now() for slot in slots_in(text))


def test_the_end_moves_with_the_start(desk: Desk, day: datetime) -> None:
    desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", planned(at(day, 1), at(day, 3)))
    edit = f"{desk.url}/edit"
    assert window_in(check(desk.tom, edit, start_date=at(day, 5))) == [at(day, 5), at(day, 7)]
    assert window_in(check(desk.tom, edit, start_date=at(day, 5), end_date=at(day, 6))) == [at(day, 5), at(day, 6)]
    assert window_in(check(desk.tom, edit, end_date=at(day, 4))) == [at(day, 1), at(day, 4)]


def test_times_are_those_of_the_users_zone(desk: Desk, taken: str, day: datetime) -> None:
    desk.tom.send(desk.tom.open("/preferences"), "preferences", {"time_zone": "Asia/Tokyo"})
    sent = planned(at(day, 9 + 9), at(day, 11 + 9), cmdb_ci=taken)
    [first, *_] = slots_in(check(desk.tom, NEW, **sent))
    assert first.startswith(f"{day:%Y-%m-%d}T10:00:00")
    assert window_in(check(desk.tom, NEW, **sent, slot=first)) == [at(day, 10 + 9), at(day, 12 + 9)]


def test_a_change_has_no_conflict_with_itself(desk: Desk, day: datetime) -> None:
    desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", planned(at(day, 1), at(day, 3), assigned_to="tom"))
    assert "The planned time has no conflict and no freeze." in desk.tom.open(f"{desk.url}/edit").text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"start_date": "", "end_date": ""}, "Enter a planned start, and a planned end after it."),
        ({"start_date": "2050-01-01 00:00:00", "end_date": "2049-01-01 00:00:00"}, "a planned end after it."),
        ({"start_date": "soon", "end_date": "2049-01-01 00:00:00"}, "start_date"),
        ({"cmdb_ci": "No such item"}, "There is no configuration item “No such item”."),
        ({"slot": "x"}, "Enter a planned start"),
        ({"slot": "x/y"}, "Enter a planned start"),
    ],
)
def test_what_cannot_be_checked_is_shown_at_its_field(desk: Desk, fields: dict[str, str], error: str) -> None:
    assert error in check(desk.tom, NEW, **fields)


def test_a_refused_check_shows_its_errors_beside_its_button(desk: Desk, day: datetime) -> None:
    text = check(desk.tom, NEW, **planned(at(day, 1), at(day, 2), cmdb_ci="No such item"))
    assert text.count('id="error-summary"') == 1
    plan = text.index('id="plan"')
    assert plan < text.index("Not checked. Correct 1 field:") < text.index("Planning", plan)
    assert "Not saved" not in text


def test_a_form_saves_no_end_before_its_start(desk: Desk, day: datetime) -> None:
    refused = desk.tom.send(desk.tom.open(NEW), "record", planned(at(day, 3), at(day, 1)))
    assert (refused.status_code, "Enter a planned start, and a planned end after it." in refused.text) == (400, True)
    assert "CHG0030002" not in desk.tom.open("/change-requests").text
    edit = f"{desk.url}/edit"
    assert desk.tom.send(desk.tom.open(edit), "record", planned(at(day, 3), at(day, 3))).status_code == 400
    assert desk.tom.send(desk.tom.open(edit), "record", planned(at(day, 3), at(day, 4))).status_code == 302


def test_a_reversed_window_from_the_api_blocks_no_other_edit(
    desk: Desk, make_change: MakeChange, day: datetime
) -> None:
    sys_id = make_change(short_description="Patch", start_date=at(day, 3), end_date=at(day, 1))
    edit = desk.tom.open(f"/change-requests/{sys_id}/edit")
    assert "Not checked. Correct 1 field:" in edit.text
    assert desk.tom.send(edit, "record", {"short_description": "Patch again"}).status_code == 302


def test_times_within_a_day_name_it_once(desk: Desk, taken: str, day: datetime) -> None:
    text = check(desk.tom, NEW, **planned(at(day, 9), at(day, 37), cmdb_ci=taken))
    assert f"{day:%a %Y-%m-%d} 08:00 to 10:00<" in text
    assert f"{day:%a %Y-%m-%d} 12:00 to {day + timedelta(days=1):%Y-%m-%d} 13:00<" in text


def test_readers_cannot_check_a_time(desk: Desk, sign_in: SignIn) -> None:
    rita = sign_in("rita", "sn_change_read")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', rita.open("/").text)[0]
    for path in (f"{NEW}/plan", f"{desk.url}/plan"):
        assert rita.client.post(path, data={"csrf_token": token}).status_code == 403


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize(
    "sent",
    [
        {"start_date": "9999-12-30 00:00:00", "end_date": "9999-12-31 23:59:59"},
        {"start_date": "0001-01-01 00:00:00", "end_date": "0001-01-02 00:00:00"},
        {"start_date": "9998-12-30 00:00:00", "end_date": "9998-12-31 00:00:00"},
        {"slot": "0001-01-01T00:00:00+00:00/9999-12-31T23:59:59+00:00"},
        {
            "start_date": "9998-01-01 00:00:00",
            "shown-start_date": "2030-01-01 00:00:00",
            "end_date": "9990-01-01 00:00:00",
            "shown-end_date": "9990-01-01 00:00:00",
        },
    ],
)
def test_times_at_the_ends_of_the_calendar_are_answered(
    app: Flask, admin: Visitor, zone: str, sent: dict[str, str]
) -> None:
    with app.app_context():
        db.session.get_one(SysUser, ROOT.sys_id).time_zone = zone
        db.session.commit()
    fields = {**forms_of(admin.open(NEW)).forms["record"], **sent}
    assert admin.client.post(f"{NEW}/plan", data=fields).status_code == 200
