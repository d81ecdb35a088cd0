"""The assessment: findings in order, at a cost that does not grow with the integrations."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange
from changegate.services.hygiene.assessment import assess
from changegate.services.hygiene.overview import get_overview
from tests.services.hygiene.conftest import KNOWN, HygieneDesk
from tests.support.statements import counted_statements

MOST_STATEMENTS = 9


def count_statements(work: Any) -> int:
    db.session.rollback()
    with counted_statements() as statements:
        work()
    return sum(text.lstrip().upper().startswith(("SELECT", "WITH")) for text in statements)


def test_costs_the_same_number_of_statements_for_many_integrations_as_for_one(hygiene: HygieneDesk) -> None:
    def both() -> tuple[int, int]:
        at = hygiene.clock()
        return count_statements(lambda: assess(at, KNOWN)), count_statements(lambda: get_overview(at, KNOWN))

    hygiene.set(replay_policy="reusable-until-exp")
    one = both()
    for number in range(8):
        other = hygiene.register(f"Other {number}", replay_policy="reusable-until-exp", enable_jti_verification=False)
        hygiene.exchange(other, sub=str(number))
    assert both() == one
    assert one[0] <= MOST_STATEMENTS
    # For each history, the figures and how far the log is counted.
    assert one[1] == one[0] + 4


def test_a_change_counts_at_the_next_look(either_hygiene: HygieneDesk) -> None:
    assert either_hygiene.assess().findings == []
    assert either_hygiene.assess().score == 100
    either_hygiene.set(clock_skew_seconds=300, review_date=(either_hygiene.clock() - timedelta(days=1)).date())
    found = either_hygiene.assess()
    assert [one.code for one in found.findings] == ["review_overdue", "wide_clock_skew"]
    assert found.counts == {"high": 0, "medium": 1, "low": 1}
    # The integration has 80 and the account 100: the mean is 90, the worst 80.
    assert found.score == 85


def test_every_fact_can_be_read_on_both_databases(either_hygiene: HygieneDesk) -> None:
    token = either_hygiene.exchange(sub="somebody")
    assert either_hygiene.desk.call(token).status_code == 201
    overview = get_overview(either_hygiene.clock(), KNOWN)
    [identity] = overview.identities
    assert identity.tokens == overview.tokens == 2
    assert identity.last_call_at is not None
    assert identity.last_exchange_at is not None
    assert abs(identity.last_exchange_at - either_hygiene.clock()) < timedelta(minutes=1)


def test_the_worst_comes_first_and_then_by_name(hygiene: HygieneDesk) -> None:
    for name in ("beta", "Alpha"):
        hygiene.register(name, owner=None, clock_skew_seconds=300)
    hygiene.set(issuer="https://token.actions.githubusercontent.com")
    found = hygiene.assess().findings
    assert [(one.severity, one.name) for one in found] == [
        ("high", "Pipeline"),
        *[("low", "Alpha")] * 2,
        *[("low", "beta")] * 2,
    ]


def test_stored_conditions_that_are_not_a_list_are_handled(hygiene: HygieneDesk) -> None:
    for stored in ([{"claim": "ref"}], [{}], [{"operator": "glob", "value": 5}], None):
        hygiene.set(claim_conditions=stored)
        hygiene.assess()


def test_events_of_deleted_integrations_do_not_count(hygiene: HygieneDesk) -> None:
    other = hygiene.register("Gone")
    hygiene.exchange(other, jti="x")
    db.session.execute(update(OAuthExchange).where(OAuthExchange.entity == other.sys_id).values(entity=None))
    db.session.delete(db.session.execute(select(OAuthEntity).where(OAuthEntity.sys_id == other.sys_id)).scalar_one())
    db.session.commit()
    assert hygiene.codes() == set()
    assert get_overview(hygiene.clock(), KNOWN).tokens == 1
