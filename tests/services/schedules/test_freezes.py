"""Which freezes cover a change, when, and the maintenance windows of configuration items."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from changegate.errors import AccessRefused, RequestUnreadable
from changegate.services.schedules.freezes import (
    FreezeSubject,
    blocked_spans,
    freezes_over,
    list_covering,
    subject_of,
)
from changegate.services.schedules.stored import find_maintenance
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from tests.services.schedules.test_row_rules import FREEZE, MAINTENANCE, NIGHT, ROOT, SPAN, TOKEN, create, freeze

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
ROUTER, SHOP, TEAM = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture(autouse=True)
def application(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        create("cmdb_ci", sys_id=ROUTER, name="router")
        create("cmdb_ci", sys_id=SHOP, name="shop", sys_class_name="cmdb_ci_service")
        create("sys_user_group", sys_id=TEAM, name="Team")
        yield


def is_covered(subject: FreezeSubject, **sent: Any) -> bool:
    freeze(**sent)
    return any(True for _ in list_covering(subject))


CHANGE = {"cmdb_ci": ROUTER, "assignment_group": TEAM, "type": "normal", "source_environment": "Production", "risk": 2}


@pytest.mark.parametrize(
    ("sent", "covers"),
    [
        ({}, True),
        ({"active": "false"}, False),
        ({"configuration_items": "router"}, True),
        ({"configuration_items": "shop"}, False),
        ({"configuration_items": "shop,router"}, True),
        ({"assignment_groups": "Team"}, True),
        ({"assignment_groups": "CAB Approval"}, False),
        ({"environments": "staging, PRODUCTION"}, True),
        ({"environments": "staging"}, False),
        ({"change_types": "normal,standard"}, True),
        ({"change_types": "emergency"}, False),
        ({"condition": "riskIN1,2"}, True),
        ({"condition": "risk=4"}, False),
        # Each list narrows the freeze.
        ({"configuration_items": "router", "change_types": "emergency"}, False),
        ({"configuration_items": "router", "environments": "production", "condition": "risk=2"}, True),
    ],
)
def test_a_freeze_covers_changes_that_match_all_it_names(sent: dict[str, str], covers: bool) -> None:
    assert is_covered(subject_of(CHANGE), **sent) == covers


@pytest.mark.parametrize("field", ["cmdb_ci", "business_service", "service_offering"])
def test_services_count_as_items(field: str) -> None:
    assert is_covered(subject_of({field: SHOP}), configuration_items="shop")


def test_affected_items_count() -> None:
    assert is_covered(subject_of(CHANGE, [SHOP]), configuration_items="shop")


def test_a_change_without_an_item_is_not_about_the_items_of_a_freeze() -> None:
    assert not is_covered(subject_of({}), configuration_items="shop")


def test_a_change_whose_environment_is_unknown_is_covered_wherever_it_may_be() -> None:
    assert is_covered(subject_of({"type": "normal"}), environments="production")


def test_a_change_without_a_type_is_normal() -> None:
    assert is_covered(subject_of({"type": None}), change_types="normal")


def test_without_a_change_what_is_unknown_is_covered() -> None:
    known = FreezeSubject(frozenset({ROUTER}), "production")
    assert not is_covered(known, environments="staging")
    assert not is_covered(known, name="Shop", configuration_items="shop")
    assert is_covered(known, name="Emergencies", change_types="emergency", assignment_groups="Team", condition="risk=1")


def test_freezes_over_a_time_have_their_first_interval() -> None:
    nights, year = freeze(name="Nights"), freeze(name="Year")
    create(SPAN, schedule=nights, **NIGHT, repeat_type="daily")
    create(SPAN, schedule=year, start_date_time="2026-06-01 00:00", end_date_time="2028-01-01 00:00")
    create(SPAN, schedule=freeze(name="Over"), start_date_time="2026-01-01 00:00", end_date_time="2026-02-01 00:00")
    found = [
        (each.freeze.name, f"{each.start:%m-%d %H}", f"{each.end:%Y-%m-%d}")
        for each in freezes_over(subject_of(CHANGE), *DECEMBER)
    ]
    assert found == [("Nights", "12-24 21", "2026-12-25"), ("Year", "12-01 00", "2027-12-31")]
    blocked = blocked_spans(subject_of(CHANGE), *DECEMBER)
    assert [each.freeze.name for each in blocked] == ["Nights"] * 8 + ["Year"]
    assert (blocked[-1].start, blocked[-1].end) == DECEMBER


def test_an_item_without_a_maintenance_schedule_may_be_changed_at_any_time() -> None:
    assert find_maintenance(ROUTER) is None
    assert find_maintenance("d" * 32) is None


def test_the_maintenance_windows_of_an_item_are_those_of_its_schedule() -> None:
    sundays = create(MAINTENANCE, name="Sundays", time_zone="Europe/Berlin")
    times = {"start_date_time": "2026-11-01 02:00", "end_date_time": "2026-11-01 06:00"}
    create(SPAN, schedule=sundays, **times, repeat_type="weekly")
    update_record(get_table("cmdb_ci"), ROOT, ROUTER, {"maintenance_schedule": "Sundays"})
    schedule = find_maintenance(ROUTER)
    assert schedule is not None
    assert [f"{start:%m-%d %H}" for start, _ in schedule.intervals(*DECEMBER)] == [
        "12-06 01",
        "12-13 01",
        "12-20 01",
        "12-27 01",
    ]
    assert not list(list_covering(subject_of(CHANGE)))
    update_record(get_table(MAINTENANCE), ROOT, sundays, {"active": "false"})
    assert find_maintenance(ROUTER) is None


def test_no_token_gives_an_item_other_maintenance_windows() -> None:
    create(MAINTENANCE, name="Nights", time_zone="Etc/UTC")
    with pytest.raises(AccessRefused):
        create("cmdb_ci", TOKEN, name="switch", maintenance_schedule="Nights")
    switch = create("cmdb_ci", TOKEN, name="switch")
    with pytest.raises(AccessRefused):
        update_record(get_table("cmdb_ci"), TOKEN, switch, {"maintenance_schedule": "Nights"})
    update_record(get_table("cmdb_ci"), TOKEN, switch, {"short_description": "In the cellar"})


def test_a_freeze_is_no_maintenance_schedule() -> None:
    freeze()
    with pytest.raises(RequestUnreadable) as raised:
        update_record(get_table("cmdb_ci"), ROOT, ROUTER, {"maintenance_schedule": "Year end"})
    assert "no record of cmn_schedule_maintenance" in str(raised.value.detail)


def test_the_table_of_freezes_shows_freezes_only() -> None:
    assert get_table(FREEZE).classes == (FREEZE,)
