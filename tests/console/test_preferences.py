"""Preferences, and the time zone of the pages."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from changegate.console.local_times import local, parse_local, shown
from tests.console.conftest import PASSWORD, MakeChange, SignIn
from tests.console.visitor import Visitor, forms_of


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
    assert "Time zone: America/New_York." in page
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


def change_password(visitor: Visitor, current: str, new: str, repeated: str | None = None) -> TestResponse:
    again = new if repeated is None else repeated
    sent = {"current_password": current, "new_password": new, "repeated_password": again}
    return visitor.send(visitor.open("/preferences"), "password", sent)


def test_users_change_their_password_which_ends_their_other_sessions(app: Flask, sign_in: SignIn) -> None:
    ann, elsewhere = sign_in("ann"), Visitor(app.test_client())
    elsewhere.sign_in("ann", PASSWORD)
    assert change_password(ann, PASSWORD, "another long one").status_code == 302
    assert ann.open("/preferences").status_code == 200
    assert elsewhere.open("/preferences").status_code == 302
    assert Visitor(app.test_client()).sign_in("ann", PASSWORD).status_code == 403
    assert Visitor(app.test_client()).sign_in("ann", "another long one").status_code == 302


@pytest.mark.parametrize(
    ("current", "new", "repeated", "problem"),
    [
        ("wrong", "another long one", None, "This is not your current password."),
        (PASSWORD, "short", None, "Enter at least 8 characters."),
        (PASSWORD, "another long one", "another", "The passwords differ."),
    ],
)
def test_a_password_is_not_changed_without_the_current_one_or_to_a_bad_one(
    sign_in: SignIn, current: str, new: str, repeated: str | None, problem: str
) -> None:
    answer = change_password(sign_in("ann"), current, new, repeated)
    assert (answer.status_code, problem in answer.text) == (400, True)


def test_guesses_of_the_current_password_are_limited(sign_in: SignIn) -> None:
    ann = sign_in("ann")
    answers = [change_password(ann, f"wrong {at}", "another long one").status_code for at in range(21)]
    assert (answers[0], answers[-1]) == (400, 429)


def test_users_end_their_other_sessions_and_no_one_elses(app: Flask, sign_in: SignIn) -> None:
    ann, bob, elsewhere = sign_in("ann"), sign_in("bob"), Visitor(app.test_client())
    elsewhere.sign_in("ann", PASSWORD)
    page = ann.open("/preferences")
    [form] = [name for name in forms_of(page).forms if name.endswith("/end")]
    token = forms_of(bob.open("/preferences")).forms["password"]["csrf_token"]
    bob.client.post(form, data={"csrf_token": token})
    assert elsewhere.open("/preferences").status_code == 200
    ann.send(page, form)
    assert (elsewhere.open("/preferences").status_code, ann.open("/preferences").status_code) == (302, 200)


@pytest.mark.parametrize(
    ("chosen", "day", "minute"),
    [
        ("", "2026-07-01", "22:30"),
        ("words", "01 Jul 2026", "22:30"),
        ("dots", "01.07.2026", "22:30"),
        ("day_first", "01/07/2026", "22:30"),
        ("month_first", "07/01/2026", "10:30 PM"),
    ],
)
def test_people_choose_how_times_are_shown(
    sign_in: SignIn, make_change: MakeChange, chosen: str, day: str, minute: str
) -> None:
    ann = sign_in("ann", "itil")
    sys_id = make_change(start_date="2026-07-01 22:30:00")
    assert ann.send(ann.open("/preferences"), "preferences", {"date_format": chosen}).status_code == 302
    assert f">{day} {minute}</time>" in ann.open("/change-requests?fields=number,start_date").text
    second = minute.replace(":30", ":30:00")
    assert f"{day} {second}" in ann.open(f"/change-requests/{sys_id}").text
    # Inputs take what they show.
    assert 'value="2026-07-01 22:30:00"' in ann.open(f"/change-requests/{sys_id}/edit").text


def test_an_unknown_format_of_times_is_refused(sign_in: SignIn) -> None:
    answer = sign_in("ann")
    page = answer.open("/preferences")
    refused = answer.send(page, "preferences", {"date_format": "%x", "name": "Ann Other"})
    assert (refused.status_code, "Choose one of the formats." in refused.text) == (400, True)
    assert "Ann Other" not in answer.open("/").text
