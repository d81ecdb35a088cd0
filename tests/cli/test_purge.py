"""`changegate purge`."""

import time
from datetime import datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from changegate.database import commit, connection, holds_write_lock
from changegate.database.cleanup import LONGEST_REST_SECONDS, ROWS_AT_ONCE
from changegate.extensions import now
from changegate.models import IdempotencyKey
from changegate.services.jobs import cleanups
from changegate.services.jobs.cleanups import CLEANUPS, Cleanup
from changegate.services.jobs.handlers import KINDS
from tests.cli.conftest import Run

KEYS = 2500


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


@pytest.fixture
def expired_keys(app: Flask) -> None:
    """More expired keys than one batch deletes, and one that has not expired."""
    with app.app_context():
        at = now()
        rows = [
            {
                "key_hash": f"{number:064}",
                "body_hash": "0" * 64,
                "table": "change_request",
                "record": "0" * 32,
                "created_at": at,
                "expires_at": at + timedelta(hours=-1 if number else 1),
            }
            for number in range(KEYS + 1)
        ]
        connection().execute(insert(IdempotencyKey), rows)
        commit()


def count(app: Flask) -> int:
    with app.app_context():
        return connection().execute(select(func.count()).select_from(IdempotencyKey)).scalar_one()


def test_it_deletes_all_that_is_due(run: Run, app: Flask, expired_keys: None) -> None:
    assert run("purge").out == "    2,500  expired idempotency keys\nEverything that was due is deleted.\n"
    assert count(app) == 1
    assert run("purge").out == "Everything that was due is deleted.\n"


def test_others_may_write_after_each_batch(
    run: Run, app: Flask, expired_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[tuple[bool, bool]] = []

    def sleep(seconds: float) -> None:
        rests.append((0 < seconds <= LONGEST_REST_SECONDS, holds_write_lock()))

    monkeypatch.setattr(
        import_module("changegate.cli.purge"), "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
    )
    run("purge")
    assert rests == [(True, False)] * 3


def test_it_says_what_is_left(run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = Cleanup("mail", lambda _at: 3, lambda _at: False)
    monkeypatch.setitem(CLEANUPS, "mail.purge", locked)
    assert (
        run("purge").out
        == "        3  mail\n3 of them, in use or not yet counted for the overview, are left for the next time.\n"
    )


def test_a_dry_run_only_counts(run: Run, app: Flask, expired_keys: None) -> None:
    assert run("purge", "--dry-run").out == "    2,500  expired idempotency keys are due\nNothing was deleted.\n"
    assert count(app) == KEYS + 1


def test_ctrl_c_during_a_statement_is_no_fault_of_the_database(
    run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_at: datetime) -> int:
        driver: Any = connection().connection.driver_connection
        # What SQLite does if a signal arrives while it calls back.
        driver.set_progress_handler(lambda: 1, 1)
        return connection().execute(select(func.count()).select_from(IdempotencyKey)).scalar_one()

    monkeypatch.setitem(CLEANUPS, "mail.purge", Cleanup("mail", interrupted, lambda _at: False))
    run("purge").assert_refused("Interrupted. What was committed so far stays.")


def test_a_server_whose_clock_is_ahead_deletes_nothing_early(
    run: Run, app: Flask, expired_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanups, "now", lambda: now() + timedelta(days=365))
    with app.app_context():
        for _ in range(KEYS // ROWS_AT_ONCE + 1):
            KINDS["tables.purge_idempotency_keys"].handler({})
        commit()
    assert run("purge").out == "Everything that was due is deleted.\n"
    assert count(app) == 1


def test_each_cleanup_is_a_repeating_job_too() -> None:
    assert len(CLEANUPS) > 8
    assert all(KINDS[kind].every for kind in CLEANUPS)
