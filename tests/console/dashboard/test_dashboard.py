"""The dashboard: every number is that of the list that it leads to."""

import html
import re
from datetime import timedelta

from flask import Flask

from changegate.extensions import db
from changegate.models import ChangeRequest
from changegate.models.base import utc_now
from changegate.seed.demo import seed_demo
from changegate.services.dashboard.figures import MOST_BARS
from tests.conftest import ADMIN_PASSWORD
from tests.console.conftest import MakeChange, SignIn
from tests.console.visitor import Visitor


def numbers_in(text: str) -> dict[str, tuple[int, str]]:
    """Return count and path by label, of single numbers and of bars."""
    number = r'<a class="state-count[^"]*" href="([^"]+)"><span class="count">([\d,]+)</span><span[^>]*>([^<]+)'
    singles = re.findall(number, text)
    bars = re.findall(r'<th scope="row">([^<]+)</th>\s*<td class="number"><a href="([^"]+)">([\d,]+)</a>', text)
    found = [(label, count, url) for url, count, label in singles] + [(label, count, url) for label, url, count in bars]
    return {html.unescape(label): (int(count.replace(",", "")), html.unescape(url)) for label, count, url in found}


def total_of(visitor: Visitor, path: str) -> int:
    """Return the number of records of a list."""
    text = visitor.client.get(path, follow_redirects=True).text
    found = re.search(r'<span class="muted total">([\d,]+)</span>', text)
    assert found is not None
    return int(found[1])


def fill(app: Flask, make_change: MakeChange) -> None:
    """Make changes of several kinds, one of them closed after two days."""
    make_change(short_description="x", risk="2")
    make_change(short_description="x", risk="2", type="emergency", unauthorized="true")
    make_change(short_description="x", risk="4")
    closed = make_change(short_description="x", state=3, close_code="unsuccessful", close_notes="x")
    with app.app_context():
        change = db.session.get_one(ChangeRequest, closed)
        change.closed_at = utc_now()
        change.sys_created_on = utc_now() - timedelta(days=2)
        db.session.commit()


def test_every_number_is_that_of_its_list(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    fill(app, make_change)
    numbers = numbers_in(admin.open("/dashboard").text)
    assert {label: numbers[label][0] for label in ("High", "Low", "Emergency", "Unauthorized in 90 days")} == {
        "High": 2,
        "Low": 1,
        "Emergency": 1,
        "Unauthorized in 90 days": 1,
    }
    assert numbers["Unsuccessful"][0] == 1
    recent = admin.client.get(numbers["Created by people in 90 days"][1], follow_redirects=True).text
    assert ">Created is at or after 90 days ago<" in recent
    for label, (count, path) in numbers.items():
        assert total_of(admin, path) == count, label


def number_tile(text: str, label: str) -> tuple[str, str]:
    """Return the value and the path of a single number whose label begins with `label`."""
    value = r'<a class="state-count" href="([^"]+)"><span class="count">([^<]+)</span>'
    found = re.search(rf"{value}<span[^>]*>{label}", text)
    assert found is not None
    return found[2], html.unescape(found[1])


def test_shows_the_success_rate_with_the_list_of_closed_changes(
    app: Flask, admin: Visitor, make_change: MakeChange
) -> None:
    assert "Successful of the closed" not in admin.open("/dashboard").text
    for code in ("successful", "successful", "unsuccessful"):
        sys_id = make_change(short_description="x", state=3, close_code=code, close_notes="x")
        with app.app_context():
            db.session.get_one(ChangeRequest, sys_id).closed_at = utc_now()
            db.session.commit()
    rate, path = number_tile(admin.open("/dashboard").text, "Successful of the closed")
    assert (rate, total_of(admin, path)) == ("66%", 3)


def test_leads_to_a_request_as_long_as_there_are_no_figures(
    app: Flask, admin: Visitor, make_change: MakeChange
) -> None:
    text = admin.open("/dashboard").text
    assert ("No figures" in text, numbers_in(text)) == (True, {})
    fill(app, make_change)
    assert "No figures" not in admin.open("/dashboard").text


def test_shows_the_pipelines_with_the_most_changes(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    repositories = [f"acme/{number}" for number in range(MOST_BARS + 1)]
    for repository in (*repositories, *repositories[1:]):
        sys_id = make_change(short_description="x")
        with app.app_context():
            db.session.get_one(ChangeRequest, sys_id).source_repository = repository
            db.session.commit()
    numbers = numbers_in(admin.open("/dashboard").text)
    assert {label: count for label, (count, _) in numbers.items() if "/" in label} == dict.fromkeys(repositories[1:], 2)


def test_shows_the_median_lead_time(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    assert "lead time" not in admin.open("/dashboard").text
    fill(app, make_change)
    time, path = number_tile(admin.open("/dashboard").text, "Median lead time")
    assert (time, total_of(admin, path)) == ("2.0 days", 1)


def test_figures_count_what_the_user_may_read(app: Flask, sign_in: SignIn, make_change: MakeChange) -> None:
    nora = sign_in("nora")
    fill(app, make_change)
    make_change(short_description="y", requested_by="nora", risk="3")
    numbers = numbers_in(nora.open("/dashboard").text)
    assert numbers["Moderate"][0] == 1
    assert ("High" in numbers, numbers["Created by people in 90 days"][0]) == (False, 1)


def test_shows_how_many_changes_of_a_pipeline_were_successful(
    app: Flask, admin: Visitor, make_change: MakeChange
) -> None:
    for code in ("successful", "unsuccessful"):
        sys_id = make_change(short_description="x", state=3, close_code=code, close_notes="x")
        with app.app_context():
            change = db.session.get_one(ChangeRequest, sys_id)
            change.source_repository, change.closed_at = "acme/shop", utc_now()
            db.session.commit()
    numbers = numbers_in(admin.open("/dashboard").text)
    assert numbers["acme/shop"][0] == 2
    rate = re.search(r'<td class="rate"><a href="([^"]+)">1 of 2</a> successful', admin.open("/dashboard").text)
    assert rate is not None
    assert total_of(admin, html.unescape(rate[1])) == 2


def test_the_demo_has_outcomes_and_asks_each_approver_once(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        seed_demo(admin_password=ADMIN_PASSWORD)
        db.session.commit()
    text = admin.open("/dashboard").text
    assert number_tile(text, "Successful of the closed")[0] == "87%"
    assert numbers_in(text)["Unsuccessful"][0] == 1
    informational = "state=requested^asked_by_policy=false"
    assert total_of(admin, f"/records/sysapproval_approver?sysparm_query={informational}") == 0
    late = "stateIN0,3^start_dateRELATIVEGE@hour@ahead@0"
    assert total_of(admin, f"/change-requests?sysparm_query={late}") == 0
