"""Finding events by each filter."""

from datetime import timedelta

import pytest

from changegate.errors import RecordNotFound
from changegate.services.oauth.event_search import (
    EventFilter,
    count_would_refuse,
    get_event,
    latest_events,
    list_events,
    search_events,
)
from changegate.services.oauth.events import claims_of, report_of
from tests.conftest import Clock
from tests.support.token_desk import TokenDesk


def subjects(wanted: EventFilter) -> list[str | None]:
    return [event.subject for event in search_events(wanted)]


def test_events_are_found_by_each_filter(desk: TokenDesk, clock: Clock) -> None:
    one, two = desk.register("One"), desk.register("Two")
    desk.token(one, assertion=desk.assertion(sub="shop:main"))
    clock.advance(minutes=5)
    middle = clock()
    desk.exchange(two, assertion=desk.assertion(aud="https://other.example.com"))
    clock.advance(minutes=5)
    desk.token(two, assertion=desk.assertion(sub="100%_sure"))

    assert subjects(EventFilter()) == ["100%_sure", "build-42", "shop:main"]
    assert subjects(EventFilter(entity=one.sys_id)) == ["shop:main"]
    assert subjects(EventFilter(outcome="accepted")) == ["100%_sure", "shop:main"]
    assert subjects(EventFilter(outcome="refused")) == ["build-42"]
    assert subjects(EventFilter(reason="aud_mismatch")) == ["build-42"]
    assert subjects(EventFilter(text="SHOP")) == ["shop:main"]
    assert subjects(EventFilter(text="0%_s")) == ["100%_sure"]
    assert subjects(EventFilter(text="k1")) == ["100%_sure", "build-42", "shop:main"]
    assert subjects(EventFilter(since=middle, until=middle + timedelta(minutes=1))) == ["build-42"]


def test_events_are_read_in_pages(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register()
    for number in range(5):
        desk.token(integration, assertion=desk.assertion(sub=f"s{number}", jti=str(number)))
        clock.advance(milliseconds=2)  # events of one millisecond have no order
    first = search_events(EventFilter(), limit=2)
    second = search_events(EventFilter(), limit=2, before=first[-1].correlation_id)
    assert [event.subject for event in (*first, *second)] == ["s4", "s3", "s2", "s1"]


def test_an_event_is_read_by_its_correlation_id(desk: TokenDesk) -> None:
    desk.token(desk.register())
    [event] = list_events(desk.register("Other").sys_id) or search_events(EventFilter())
    assert get_event(event.correlation_id) is event
    with pytest.raises(RecordNotFound):
        get_event("0" * 32)


def test_the_latest_event_of_each_integration_is_read_at_once(desk: TokenDesk, clock: Clock) -> None:
    one, two, silent = desk.register("One"), desk.register("Two"), desk.register("Silent")
    for integration, subject in ((one, "a"), (two, "b"), (one, "c")):
        desk.token(integration, assertion=desk.assertion(sub=subject, jti=subject))
        clock.advance(milliseconds=2)
    latest = latest_events([one.sys_id, two.sys_id, silent.sys_id])
    assert {entity: event.subject for entity, event in latest.items()} == {one.sys_id: "c", two.sys_id: "b"}


def test_the_event_of_an_accepted_exchange_has_every_rule_and_the_claims(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration, assertion=desk.assertion(sub="me", repository="shop"))
    [event] = list_events(integration.sys_id)
    rules = report_of(event)
    assert {"form", "alg", "key", "signature", "iss", "aud", "exp", "user"} <= {rule.rule for rule in rules}
    assert all(rule.passed for rule in rules)
    assert (claims_of(event) or {})["repository"] == "shop"


def test_the_event_of_a_refused_exchange_has_claims_only_if_the_signature_is_valid(
    desk: TokenDesk, clock: Clock
) -> None:
    integration = desk.register()
    desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com"))
    clock.advance(milliseconds=2)
    desk.exchange(integration, assertion=desk.assertion({"kid": "foreign"}))
    unsigned, signed = list_events(integration.sys_id)
    assert claims_of(unsigned) is None
    assert (claims_of(signed) or {})["aud"] == "https://other.example.com"


def test_counts_what_a_condition_that_only_reports_would_have_refused(desk: TokenDesk, clock: Clock) -> None:
    condition = {"claim": "ref", "operator": "equals", "value_type": "string", "value": "main", "report_only": True}
    integration = desk.register(claim_conditions=[condition])
    begun = clock()
    desk.token(integration, assertion=desk.assertion(ref="main", jti="1"))
    desk.token(integration, assertion=desk.assertion(ref="fork", jti="2"))
    # Refused whatever the condition says.
    desk.exchange(integration, assertion=desk.assertion(ref="fork", jti="3", aud="https://other.example.com"))
    assert count_would_refuse(begun) == {integration.sys_id: 1}
    [event] = search_events(EventFilter(outcome="would_refuse"))
    assert event.is_accepted
    [rule] = [rule for rule in report_of(event) if rule.only_reports]
    assert (rule.passed, rule.expected, rule.received) == (False, "main", "fork")
    clock.advance(seconds=1)
    assert count_would_refuse(clock()) == {}
