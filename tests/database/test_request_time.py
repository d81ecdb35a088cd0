"""The time of a request, and the places of long ones."""

import threading
from typing import Any

import pytest

from changegate.database import request_time
from changegate.database.request_time import LimitedTime, LongRequests, RequestTime, find_request_time, require_time
from changegate.errors import TimeExceeded, TooManyLongRequests

ANN, BOB, CY = ("ann", ""), ("bob", ""), ("cy", "")


def counted_for(account: tuple[str, str], places: LongRequests) -> RequestTime:
    """Return a request that is long from its beginning."""
    places.after_work = 0
    made = RequestTime(places)
    made.count_for(account)
    return made


@pytest.mark.parametrize(("threads", "own"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (16, 8)])
def test_a_caller_has_half_of_the_threads_and_at_least_one(threads: int, own: int) -> None:
    places = LongRequests(threads)
    assert [places.take_place(ANN) for _ in range(own)] == [None] * own
    refusal = places.take_place(ANN)
    assert isinstance(refusal, TooManyLongRequests)
    assert (refusal.status, refusal.retry_after) == (429, 2)


def test_one_thread_stays_free_for_other_callers() -> None:
    places = LongRequests(4)
    assert [places.take_place(account) for account in (ANN, ANN, BOB)] == [None] * 3
    refusal = places.take_place(CY)
    assert isinstance(refusal, TooManyLongRequests)
    assert refusal.status == 503
    places.give_back(ANN)
    assert places.take_place(CY) is None


def test_each_integration_of_a_user_is_counted_separately() -> None:
    places = LongRequests(8)
    assert [places.take_place(("ann", "ci")) for _ in range(4)] == [None] * 4
    assert places.take_place(("ann", "ci")) is not None
    assert places.take_place(("ann", "")) is None


def test_a_request_takes_one_place_and_gives_it_back() -> None:
    places = LongRequests(2)
    first, second = counted_for(ANN, places), counted_for(ANN, places)
    assert [first.look(), first.look()] == [None, None]
    assert isinstance(second.look(), TooManyLongRequests)
    first.end()
    first.end()
    assert second.look() is None


def test_a_request_that_has_begun_to_write_is_not_refused_a_place() -> None:
    places = LongRequests(1)
    assert places.take_place(ANN) is None
    assert counted_for(ANN, places).look(may_refuse=False) is None


def test_work_counts_from_when_the_caller_is_known() -> None:
    places = LongRequests(4)
    made = RequestTime(places)
    _work(places.after_work)
    assert made.look() is None
    made.count_for(ANN)
    made.look()
    assert places._at_work.total() == 0
    _work(places.after_work)
    made.look()
    assert places._at_work == {ANN: 1}


def test_waiting_for_locks_and_disks_does_not_count_as_work() -> None:
    places = LongRequests(4)
    made = RequestTime(places)
    made.count_for(ANN)
    threading.Event().wait(2 * places.after_work)
    made.look()
    assert places._at_work.total() == 0


def test_waiting_for_reads_of_postgresql_is_counted() -> None:
    places = LongRequests(4)
    made = counted_for(ANN, places)
    places.after_work = 0.001
    threading.Event().wait(0.01)
    made.add_waiting(request_time.LONG_WAIT / 2)
    assert made.look() is None
    assert places._at_work.total() == 0
    made.look(waiting=request_time.LONG_WAIT / 2)
    assert places._at_work == {ANN: 1}


def test_a_refused_caller_begins_no_search_until_a_place_is_free() -> None:
    places = LongRequests(2)
    first, second = counted_for(ANN, places), counted_for(ANN, places)
    first.look()
    assert second.find_search_refusal() is None
    second.look()
    assert isinstance(counted_for(ANN, places).find_search_refusal(), TooManyLongRequests)
    assert counted_for(BOB, places).find_search_refusal() is None
    assert first.find_search_refusal() is None
    first.end()
    assert counted_for(ANN, places).find_search_refusal() is None


def test_many_threads_on_one_processor_become_long_within_the_same_time() -> None:
    for threads in (1, 4, 16, 256):
        assert LongRequests(threads).after_work * threads <= max(request_time.LONGEST_START, request_time.LONG_WORK)


def test_a_request_within_another_has_its_time() -> None:
    seen: list[Any] = []

    def inner(_environ: dict[str, Any], _start: Any) -> list[bytes]:
        seen.append(find_request_time())
        return []

    def outer(environ: dict[str, Any], start: Any) -> Any:
        seen.append(find_request_time())
        return limited_inner(environ, start)

    limited_inner = LimitedTime(inner, LongRequests(4))
    LimitedTime(outer, LongRequests(4))({}, None)
    assert seen[0] is seen[1] is not None
    assert find_request_time() is None


def test_a_request_that_fails_gives_its_place_back() -> None:
    places = LongRequests(2)
    places.after_work = 0

    def fail(_environ: dict[str, Any], _start: Any) -> list[bytes]:
        request_time.count_for(ANN)
        require_time()
        assert places._at_work == {ANN: 1}
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        LimitedTime(fail, places)({}, None)
    assert places._at_work.total() == 0


def test_commands_have_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_time, "MAX_EXECUTION_TIME", -request_time.MAX_EXECUTION_TIME)
    require_time(for_search=True)
    with pytest.raises(TimeExceeded):
        LimitedTime(lambda *_: require_time() or [], LongRequests(4))({}, None)


def _work(seconds: float) -> None:
    end = request_time.time.thread_time() + seconds
    while request_time.time.thread_time() < end:
        pass
