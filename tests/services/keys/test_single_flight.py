import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from changegate.errors import JwksFetchFailed
from changegate.services.keys import fetch_threads, single_flight
from changegate.services.keys.fetch_threads import FetchThreads, TooManyFetches
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.parsed_key_sets import ParsedKeySets
from changegate.services.keys.single_flight import SingleFlight, TooManyWaiting

HOST = "idp.example.com"


class Gate:
    """A fetch that ends when it is let go, and how often it was begun."""

    def __init__(self):
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self):
        self.begun += 1
        assert self.may_end.wait(10)
        return self.begun


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.may_end.set()


def test_one_thread_fetches_and_the_others_join(gate):
    flights = SingleFlight()
    first, begins = flights.start("a", HOST, gate)
    again, joins = flights.start("a", HOST, gate)
    other, begins_too = flights.start("b", HOST, gate)
    assert (begins, joins, begins_too) == (True, False, True)
    assert first is again is not other
    gate.may_end.set()
    flights.wait(first, 5)
    assert flights.start("a", HOST, gate)[1]


def test_waiting_ends_when_the_fetch_ends(gate):
    flights = SingleFlight()
    flight, _ = flights.start("a", HOST, gate)
    flights.wait(flight, 0.01)
    assert not flight.landed.done()
    gate.may_end.set()
    flights.wait(flight, 5)
    assert flight.landed.done()


def test_a_failed_fetch_ends_waiting_too():
    def fail():
        raise JwksFetchFailed("no keys")

    flights = SingleFlight()
    flight, _ = flights.start("a", HOST, fail)
    flights.wait(flight, 5)
    assert flight.landed.done()
    with pytest.raises(JwksFetchFailed, match="no keys"):
        flights.outcome("a", HOST, fail)


@pytest.mark.parametrize("names", ["aaaa", "abcd"])
def test_two_wait_in_place_over_all_fetches_and_the_others_leave_after_a_moment(gate, monkeypatch, names):
    monkeypatch.setattr(single_flight, "SLOW_SECONDS", 0.1)
    flights = SingleFlight()
    under_way = [flights.start(name, f"{name}.example.com", gate)[0] for name in names]

    def wait(flight):
        try:
            flights.wait(flight, 60)
        except TooManyWaiting:
            return False
        return flight.landed.done()

    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(wait, flight) for flight in under_way]
        while sum(one.done() for one in waits) < 2:
            threading.Event().wait(0.01)
        gate.may_end.set()
        assert sorted(one.result() for one in waits) == [False, False, True, True]


def test_a_waiter_that_leaves_makes_room_for_the_next(gate):
    flights = SingleFlight()
    flight, _ = flights.start("a", HOST, gate)
    for _ in range(5):
        flights.wait(flight, 0.01)


def test_without_a_free_thread_callers_fail_at_once_for_a_moment(gate, monkeypatch):
    monkeypatch.setattr(fetch_threads, "THREADS", 0)
    monkeypatch.setattr(fetch_threads, "MOST_QUEUED", 0)
    flights = SingleFlight()
    flight, _ = flights.start("a", HOST, gate)
    with pytest.raises(TooManyFetches):
        flights.wait(flight, 5)
    monkeypatch.setattr(fetch_threads, "THREADS", 8)
    assert flights.start("a", HOST, gate) == (flight, False)
    flight.refused_until = 0.0
    assert flights.start("a", HOST, gate)[1]


def begun(gates):
    return sum(gate.begun for gate in gates)


def eventually(condition):
    for _ in range(6_000):
        if condition():
            return True
        threading.Event().wait(0.01)
    return False


@pytest.fixture
def gates():
    made = [Gate() for _ in range(20)]
    yield made
    for gate in made:
        gate.may_end.set()


def test_one_host_has_half_of_the_threads(gates):
    threads = FetchThreads()
    for gate in gates:
        threads.start(HOST, gate)
    other = threads.start("other.example.com", lambda: "fetched")
    assert other.result(60) == "fetched"
    assert begun(gates) == fetch_threads.SHARE
    gates[0].may_end.set()
    assert eventually(lambda: begun(gates) == fetch_threads.SHARE + 1), "who waits goes on when a thread is free"


def test_a_process_has_only_so_many_threads(gates):
    threads = FetchThreads()
    for number, gate in enumerate(gates):
        threads.start(f"{number}.example.com", gate)
    assert eventually(lambda: begun(gates) == fetch_threads.THREADS)
    for gate in gates:
        gate.may_end.set()
    assert eventually(lambda: begun(gates) == len(gates))


def test_slow_hosts_together_have_half_of_the_threads(gates, monkeypatch):
    monkeypatch.setattr(fetch_threads, "SLOW_SECONDS", 0.05)
    threads, slow = FetchThreads(), [f"{number}.example.com" for number in range(6)]
    for host in slow:
        threads.start(host, lambda: threading.Event().wait(0.1)).result(60)
    for host, gate in zip(slow, gates, strict=False):
        threads.start(host, gate)
    assert threads.start("quick.example.com", lambda: "fetched").result(60) == "fetched"
    assert begun(gates) == fetch_threads.SHARE
    # A host that answers again is treated like the others.
    gates[0].may_end.set()
    assert eventually(lambda: begun(gates) == fetch_threads.SHARE + 1)


def test_the_queue_is_bounded_and_ends_in_time(gates, monkeypatch):
    monkeypatch.setattr(fetch_threads, "MOST_QUEUED", 1)
    monkeypatch.setattr(fetch_threads, "LONGEST_QUEUED_SECONDS", 0.0)
    threads = FetchThreads()
    for gate in gates[: fetch_threads.SHARE]:
        threads.start(HOST, gate)
    queued, refused = threads.start(HOST, gates[-1]), threads.start(HOST, gates[-1])
    assert isinstance(refused.exception(60), TooManyFetches)
    assert not queued.done()
    gates[0].may_end.set()
    assert isinstance(queued.exception(60), TooManyFetches)
    assert gates[-1].begun == 0


def test_a_system_without_threads_is_no_room(gate, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert isinstance(FetchThreads().start(HOST, gate).exception(60), TooManyFetches)


def test_only_so_many_slow_hosts_are_remembered(monkeypatch):
    monkeypatch.setattr(fetch_threads, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(fetch_threads, "MOST_SLOW_HOSTS", 3)
    threads = FetchThreads()
    for number in range(10):
        threads.start(f"{number}.example.com", lambda: None).result(60)
    assert list(threads._slow_hosts) == ["7.example.com", "8.example.com", "9.example.com"]
    assert not threads._running


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://IdP.example.com:8443/keys", "idp.example.com:8443"), ("nonsense", ""), ("http://[::1", "http://[::1")],
)
def test_a_host_is_named_by_the_url(url, host):
    assert fetch_threads.host_of(url) == host


def test_the_key_set_unused_for_longest_is_dropped():
    parsed, key_set = ParsedKeySets(capacity=2), KeySet((), ())
    parsed.keep("a", "1", key_set)
    parsed.keep("b", "1", key_set)
    assert parsed.find("a", "1") is key_set
    parsed.keep("c", "1", key_set)
    assert (parsed.find("a", "1"), parsed.find("b", "1")) == (key_set, None)


def test_equal_documents_of_two_integrations_are_kept_apart():
    parsed, one, other = ParsedKeySets(), KeySet((), ()), KeySet((), ())
    parsed.keep("a", "same", one)
    parsed.keep("b", "same", other)
    assert parsed.find("a", "same") is one
    assert parsed.find("b", "same") is other
