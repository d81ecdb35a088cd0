"""How many refusals are written as events, and what is counted beyond that."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from changegate.services.oauth import event_bounds
from changegate.services.oauth.event_bounds import MOST, EventBounds

AT = datetime(2030, 1, 1, tzinfo=UTC)
ADDRESS = "192.0.2.1"


@pytest.fixture
def bounds() -> EventBounds:
    return EventBounds()


def fill(
    bounds: EventBounds, times: int, address: str = "192.0.2.1", entity: str | None = "a", at: datetime = AT
) -> int:
    """Refuse so many calls; return how many of them are written."""
    return sum(bounds.has_room(address, entity, f"{address} {entity} {number}", at) for number in range(times))


def test_refusals_of_an_address_beyond_its_bound_are_counted_in_its_last_event(bounds: EventBounds) -> None:
    assert fill(bounds, 100) == MOST["address"]
    assert bounds.take_counts() == {f"192.0.2.1 a {MOST['address'] - 1}": 100 - MOST["address"]}
    assert bounds.take_counts() == {}


def test_an_integration_has_its_bound_over_all_addresses(bounds: EventBounds) -> None:
    assert sum(fill(bounds, 1, f"192.0.2.{number}") for number in range(200)) == MOST["integration"]
    assert list(bounds.take_counts().values()) == [200 - MOST["integration"]]
    assert fill(bounds, 1, "198.51.100.1", "another") == 1


def test_a_few_addresses_do_not_hide_refusals_of_another_without_an_integration(bounds: EventBounds) -> None:
    for number in range(3):
        fill(bounds, 100, f"192.0.2.{number}", None)
    assert fill(bounds, 1, "198.51.100.1", None) == 1


def test_refusals_without_an_integration_have_a_bound_of_the_process(bounds: EventBounds) -> None:
    addresses = [f"192.0.2.{number}" for number in range(MOST["process"] // 20)]
    assert sum(fill(bounds, 20, address, None) for address in addresses) == MOST["process"]
    assert fill(bounds, 3, addresses[0], None) == 0
    assert fill(bounds, 2, "198.51.100.1", None) == 0
    assert fill(bounds, 1, "198.51.100.1") == 1
    # An address that has no event is counted at the last event of all.
    assert bounds.take_counts() == {f"{addresses[0]} None 19": 3, f"{addresses[-1]} None 19": 2}


def test_an_ipv6_network_is_one_address(bounds: EventBounds) -> None:
    assert sum(fill(bounds, 1, f"2001:db8::{number:x}", str(number)) for number in range(100)) == MOST["address"]


def test_a_minute_later_events_are_written_again(bounds: EventBounds) -> None:
    fill(bounds, MOST["address"])
    assert fill(bounds, 1, at=AT + timedelta(seconds=59)) == 0
    assert fill(bounds, 1, at=AT + timedelta(seconds=60)) == 1


def test_a_clock_set_back_does_not_block_events(bounds: EventBounds) -> None:
    fill(bounds, MOST["address"])
    assert fill(bounds, 1, at=AT - timedelta(hours=1)) == 1


def test_counts_are_written_at_most_once_a_second_until_they_are_read(bounds: EventBounds) -> None:
    fill(bounds, MOST["address"] + 1)
    assert sum(bounds.take_counts(AT).values()) == 1
    fill(bounds, 5)
    assert bounds.take_counts(AT + timedelta(seconds=0.9)) == {}
    assert sum(bounds.take_counts(AT + timedelta(seconds=1)).values()) == 5
    fill(bounds, 3)
    assert sum(bounds.take_counts().values()) == 3


def test_memory_has_a_bound_whatever_addresses_there_are() -> None:
    with mock.patch.object(event_bounds, "MOST_BUCKETS", 10):
        bounds = EventBounds()
        for number in range(100):
            fill(bounds, 1, f"192.0.2.{number}")
    assert len(bounds) == 10
