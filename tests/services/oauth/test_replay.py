"""Claims of assertions, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from changegate.extensions import db
from changegate.services.oauth.replay import MARGIN, claim_assertion, purge_claims
from tests.support.token_desk import TokenDesk

UNTIL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://ci.example.com"


@pytest.fixture
def entities(either_desk: TokenDesk) -> Iterator[list[str]]:
    """Return two integrations of an application on SQLite, then on PostgreSQL."""
    sys_ids = [either_desk.register(name).sys_id for name in ("One", "Two")]
    with either_desk.app.app_context():
        yield sys_ids


def test_a_claim_is_made_once(entities: list[str]) -> None:
    assert claim_assertion(entities[0], ISSUER, b"a", UNTIL)
    assert not claim_assertion(entities[0], ISSUER, b"a", UNTIL)


def test_claims_of_other_integrations_issuers_and_assertions_are_others(entities: list[str]) -> None:
    assert claim_assertion(entities[0], ISSUER, b"a", UNTIL)
    assert claim_assertion(entities[1], ISSUER, b"a", UNTIL)
    assert claim_assertion(entities[0], f"{ISSUER}/", b"a", UNTIL)
    assert claim_assertion(entities[0], ISSUER, b"b", UNTIL)


def test_a_claim_rolled_back_was_never_made(entities: list[str]) -> None:
    claim_assertion(entities[0], ISSUER, b"a", UNTIL)
    db.session.rollback()

    assert claim_assertion(entities[0], ISSUER, b"a", UNTIL)


def test_a_claim_is_kept_past_the_last_instant_the_assertion_is_good_for(entities: list[str]) -> None:
    claim_assertion(entities[0], ISSUER, b"a", UNTIL)

    assert purge_claims(UNTIL + MARGIN) == 0
    assert not claim_assertion(entities[0], ISSUER, b"a", UNTIL)
    assert purge_claims(UNTIL + MARGIN + timedelta(seconds=1)) == 1
    assert claim_assertion(entities[0], ISSUER, b"a", UNTIL)
