"""The first free time, free spans, and why earlier times are not free."""

from datetime import timedelta

import pytest

from changegate.services.conflicts import slots
from changegate.services.conflicts.overlaps import find_overlaps
from changegate.services.conflicts.slots import SLOT_WINDOW, Obstacle, Obstacles, find_obstacles
from tests.services.conflicts.calendar import Calendar, instant
from tests.services.conflicts.test_windows import freeze, windows

HOUR = timedelta(hours=1)


def obstacles(*spans: tuple[float, float]) -> Obstacles:
    ordered = tuple(Obstacle(instant(start), instant(end), "blackout") for start, end in sorted(spans))
    return Obstacles(instant(8), instant(8) + SLOT_WINDOW, ordered)


@pytest.mark.parametrize(
    ("spans", "expected", "count"),
    [
        ([], 8, 0),
        ([(9, 10)], 8, 0),
        ([(8, 9)], 9, 1),
        ([(8, 9), (9, 10)], 10, 2),
        ([(8.5, 9)], 9, 1),
        # One that ends earlier than one before it.
        ([(8, 12), (8.5, 9), (12.5, 13)], 13, 2),
        # Without length, or over before the search.
        ([(8, 8), (1, 2), (1, 8)], 8, 0),
    ],
)
def test_the_first_free_time_is_after_what_stands_in_the_way(
    spans: list[tuple[float, float]], expected: float, count: int
) -> None:
    search = obstacles(*spans).first_free(HOUR)
    assert search.slot == (instant(expected), instant(expected) + HOUR)
    assert search.rejected_count == len(search.rejected) == count


def test_there_is_no_free_time_after_the_window() -> None:
    blocked = obstacles((8, 8 + 24 * 90 - 0.5))
    assert blocked.first_free(HOUR).slot is None
    assert blocked.first_free(HOUR / 2).slot is not None
    assert obstacles().first_free(SLOT_WINDOW).slot is not None
    assert obstacles().first_free(SLOT_WINDOW + HOUR).slot is None


def test_free_spans_are_long_enough_and_limited() -> None:
    blocked = obstacles((9, 10), (10.5, 11))
    assert blocked.free_spans(HOUR) == [(instant(8), instant(9)), (instant(11), instant(8) + SLOT_WINDOW)]
    many = obstacles(*((hour, hour + 0.5) for hour in range(9, 9 + 200)))
    assert len(many.free_spans(HOUR / 2)) == slots.MOST_SPANS


def test_changes_freezes_and_maintenance_windows_stand_in_the_way(calendar: Calendar) -> None:
    calendar.change("router", 8, 9)
    schedule = freeze(calendar, 9, 10)
    windows(calendar, 0, 12, "router")
    subject = {"sys_id": "", "cmdb_ci": calendar.item("router")}
    found = find_obstacles(subject, instant(8))
    assert [(each.type, each.start) for each in found.ordered] == [
        ("ci_already_scheduled", instant(8)),
        ("blackout", instant(9)),
        ("not_in_maintenance_window", instant(12)),
    ]
    assert found.ordered[1].schedule == schedule
    assert found.first_free(HOUR).slot == (instant(10), instant(11))
    assert found.first_free(3 * HOUR).slot is None


def test_what_was_not_read_is_not_taken_for_free(calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in (8, 9, 10, 20):
        calendar.change("router", hour, hour + 1)
    monkeypatch.setattr(slots, "MOST_READ", 2)
    monkeypatch.setattr(slots, "find_overlaps", lambda *args: find_overlaps(*args)[:2])
    found = find_obstacles({"sys_id": "", "cmdb_ci": calendar.item("router")}, instant(8))
    assert found.until == instant(9)
    assert found.first_free(HOUR).slot is None
