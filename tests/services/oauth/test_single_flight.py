import threading

from changegate.services.oauth.key_set import KeySet
from changegate.services.oauth.parsed_key_sets import ParsedKeySets
from changegate.services.oauth.single_flight import SingleFlight


def test_one_leads_and_the_others_do_not():
    flights = SingleFlight()
    with flights.lead("a") as first, flights.lead("a") as second, flights.lead("b") as other:
        assert (first, second, other) == (True, False, True)
    with flights.lead("a") as again:
        assert again


def test_waiting_ends_with_the_landing():
    flights, landed = SingleFlight(), []
    with flights.lead("a"):
        waiter = threading.Thread(target=lambda: landed.append(flights.wait("a", 5)))
        waiter.start()
        assert not flights.wait("a", 0.01)
    waiter.join(5)
    assert landed == [True]
    assert flights.wait("a", 0)


def test_a_flight_that_fails_lands_too():
    flights = SingleFlight()
    try:
        with flights.lead("a"):
            raise RuntimeError
    except RuntimeError:
        assert flights.wait("a", 0)


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
