"""What an integration's clients have achieved, found in a few reads of indexes."""

import re

import pytest
from flask import Flask

from changegate.database import connection
from changegate.services.integrations.run_status import SEARCHED_EVENTS, RunStatus, find_run_status
from tests.support.statements import counted_statements
from tests.support.token_desk import Integration, TokenDesk


@pytest.fixture
def desk(either_desk: TokenDesk) -> TokenDesk:
    return either_desk


def status_of(desk: TokenDesk, integration: Integration) -> RunStatus:
    with desk.app.app_context():
        return find_run_status(integration.sys_id)


def refuse(desk: TokenDesk, integration: Integration) -> None:
    assert desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com")).status_code == 400


def test_nothing_has_happened_before_the_first_exchange(desk: TokenDesk) -> None:
    assert status_of(desk, desk.register()) == RunStatus()
    assert not RunStatus().is_working


def test_finds_the_refusal_the_exchange_and_the_change(desk: TokenDesk) -> None:
    integration, other = desk.register(), desk.register("Other")
    refuse(desk, integration)
    desk.call(desk.token(other))
    refused = status_of(desk, integration)
    assert refused.refused is not None and refused.refused.reason == "aud_mismatch"
    assert not refused.is_working

    token = desk.token(integration)
    exchanged = status_of(desk, integration)
    assert exchanged.is_working and exchanged.accepted is not None and exchanged.accepted.is_accepted
    assert exchanged.refused is None and exchanged.change is None

    first, second = (desk.call(token).get_json()["result"]["sys_id"] for _ in range(2))
    assert status_of(desk, integration).change in {first, second}

    refuse(desk, integration)
    again = status_of(desk, integration)
    assert again.is_working and again.accepted is not None and again.refused is not None


def test_a_change_shows_that_it_works_even_if_its_exchange_is_far_behind(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.call(desk.token(integration))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("changegate.services.integrations.run_status.SEARCHED_EVENTS", 1)
        assert SEARCHED_EVENTS > 1
        refuse(desk, integration)
        status = status_of(desk, integration)
    assert status.is_working and status.accepted is None and status.refused is not None and status.change


def test_reads_indexes_only(app: Flask) -> None:
    with app.app_context(), counted_statements() as statements:
        find_run_status("0" * 32)
        plans = [_plan(text) for text in list(statements)]
    assert len(plans) == 2
    assert not [plan for plan in plans if re.search(r"SCAN (task|oauth_exchange)|FOR ORDER BY", plan)]


def _plan(text: str) -> str:
    blanks = [1 if name else "" for name in re.findall(r"(LIMIT )?\?", text)]
    return str(connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(blanks)).all())
