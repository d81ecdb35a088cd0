"""Preferences, and the time zone of the pages."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from changegate.console.local_times import local, parse_local, shown
from tests.console.conftest import MakeChange, SignIn
from tests.console.visitor import Visitor


def _set(visitor: Visitor, zone: str, status: int = 302) -> str:
    answer = visitor.send(visitor.open("/preferences"), "preferences", {"time_zone": zone})
    assert answer.status_code == status, answer.text
    return answer.text


def test_people_set_their_own_time_zone_and_see_it_on_every_page(sign_in: SignIn, make_change: MakeChange) -> None:
    ann, bob = sign_in("ann", "itil"), sign_in("bob", "itil")
    sys_id = make_change(start_date="2026-07-01 22:30:00")
    _set(ann, "europe/berlin")

    assert "Your time zone is Europe/Berlin." in ann.open("/preferences").text
    for visitor, zone, start in ((ann, "Europe/Berlin", "2026-07-02 00:30:00"), (bob, "UTC", "2026-07-01 22:30:00")):
        record, listed = visitor.open(f"/change-requests/{sys_id}").text, visitor.open("/change-requests").text
        assert f"Time zone: {zone}." in record
        assert f"Time zone: {zone}." in listed
        assert start in record

    _set(ann, "")
    assert "2026-07-01 22:30:00" in ann.open(f"/change-requests/{sys_id}").text


def test_an_unknown_time_zone_is_refused_and_stays_in_the_form(sign_in: SignIn) -> None:
    page = _set(sign_in("ann"), "Mars/Olympus", 400)
    assert "There is no time zone" in page
    assert 'value="Mars/Olympus"' in page


def test_pages_of_events_name_the_time_zone(admin: Visitor) -> None:
    _set(admin, "America/New_York")
    page = admin.open("/inbound-integrations/events").text
    assert "From (America/New_York)" in page
    assert "UTC" not in page.partition("<main")[2]


@pytest.mark.parametrize(
    ("typed", "instant"),
    [
        ("2026-07-01T08:30", "2026-07-01T12:30+00:00"),
        ("2026-03-08T02:30", "2026-03-08T07:30+00:00"),
        ("2026-11-01T01:30", "2026-11-01T05:30+00:00"),
        ("2026-07-01T08:30+02:00", "2026-07-01T06:30+00:00"),
        ("soon", None),
        ("0001-01-01T00:00+23:00", None),
    ],
)
def test_times_are_typed_by_the_clock_of_the_person(
    app: Flask, admin: Visitor, typed: str, instant: str | None
) -> None:
    _set(admin, "America/New_York")
    with admin.client:
        admin.open("/preferences")
        assert parse_local(typed) == (None if instant is None else datetime.fromisoformat(instant))


def test_instants_are_shown_by_the_clock_of_the_person(admin: Visitor) -> None:
    _set(admin, "America/New_York")
    at = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    with admin.client:
        admin.open("/preferences")
        assert shown(at) == "2026-07-01 08:30:00 America/New_York"
        assert local(at).hour == 8
