"""Time zones by name."""

from zoneinfo import ZoneInfo, available_timezones

import pytest

from changegate.services.access.time_zones import find_time_zone, time_zone_names


def test_finds_a_time_zone_by_its_name_in_any_case() -> None:
    assert find_time_zone("Europe/Berlin") == find_time_zone(" europe/BERLIN ") == ZoneInfo("Europe/Berlin")
    assert find_time_zone("US/Eastern") == ZoneInfo("US/Eastern")


NONE = [None, "", "UTC", "Etc/UTC", "GMT", "Mars/Olympus", "../../etc/passwd", "\0", "Factory"]


@pytest.mark.parametrize("name", NONE)
def test_utc_and_unknown_names_have_no_time_zone(name: str | None) -> None:
    assert find_time_zone(name) is None


def test_every_name_can_be_used() -> None:
    names = time_zone_names()
    assert len(names) > 400
    assert set(names.values()) <= available_timezones()
    assert all(ZoneInfo(name) for name in names.values())
