"""Free times of a change or an item: the first one that is long enough, and why earlier ones are not free."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from changegate.services.conflicts.overlaps import MOST_READ, find_overlaps
from changegate.services.conflicts.windows import list_closed_times
from changegate.services.schedules.spans import Interval, merge, subtract

# How far ahead a free time is searched for.
SLOT_WINDOW = timedelta(days=90)
MOST_REJECTED, MOST_SPANS = 20, 100


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An interval that is not free, with the type of the conflict, and the other change or the schedule."""

    start: datetime
    end: datetime
    type: str
    change: str | None = None
    schedule: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A time that was tried and is not free, and the obstacle."""

    start: datetime
    end: datetime
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class SlotSearch:
    """A search: the first free time, if there is one, the times that were tried before, and how many they are.

    At most `MOST_REJECTED` of them are listed. `until` is the end of the time that was searched.
    """

    slot: Interval | None
    rejected: tuple[Rejected, ...]
    rejected_count: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Obstacles:
    """The obstacles from a time to another one in the order of their starts."""

    start: datetime
    until: datetime
    ordered: tuple[Obstacle, ...]

    def first_free(self, duration: timedelta) -> SlotSearch:
        """Return the first time without an obstacle. Obstacles of zero length are ignored."""
        at, rejected, count = self.start, [], 0
        for obstacle in self.ordered:
            if obstacle.end <= at:
                continue
            if obstacle.start >= at + duration:
                break
            count += 1
            if count <= MOST_REJECTED:
                rejected.append(Rejected(at, at + duration, obstacle))
            at = obstacle.end
        is_free = at + duration <= self.until
        return SlotSearch((at, at + duration) if is_free else None, tuple(rejected), count, self.until)

    def free_spans(self, duration: timedelta) -> list[Interval]:
        """Return the first intervals without obstacles that are long enough."""
        taken = merge((each.start, each.end) for each in self.ordered)
        free = subtract([(self.start, self.until)], taken)
        return [(start, end) for start, end in free if end - start >= duration][:MOST_SPANS]


def find_obstacles(change: Mapping[str, Any], start: datetime, until: datetime | None = None) -> Obstacles:
    """Return what stands against a change, or an item, from a time on, for `SLOT_WINDOW` or until another time.

    `change` may be only a `cmdb_ci`.
    """
    until = until or start + SLOT_WINDOW
    overlaps = find_overlaps(change, start, until)
    if len(overlaps) == MOST_READ:
        # What begins later has not been read.
        until = overlaps[-1].start
    closed = list_closed_times(change, start, until) if until > start else []
    found = [
        *(Obstacle(each.start, each.end, each.type, change=each.change) for each in overlaps),
        *(Obstacle(each.start, each.end, each.type, schedule=each.schedule) for each in closed),
    ]
    ordered = sorted(found, key=lambda each: (each.start, each.end))
    return Obstacles(start, until, tuple(ordered))
