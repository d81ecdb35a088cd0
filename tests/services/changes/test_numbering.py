"""Numbers: unique whoever asks, from CHG0030001 on (rest_api.md §5.1)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.extensions import db, settings
from changegate.models import SysNumberCounter, Task
from changegate.services.changes.numbering import next_number

PROCESSES = 2
THREADS = 8
EACH = 6
TOTAL = PROCESSES * THREADS * EACH
WAIT_SECONDS = 60


@pytest.fixture
def crowd(either_app: Flask) -> Iterator[Callable[[], list[str]]]:
    """Return a function that creates changes in several processes at once and returns their numbers."""
    with either_app.app_context():
        url = settings().database_url
    environment = {
        **os.environ,
        "CHANGEGATE_INSTANCE_PATH": either_app.instance_path,
        "CHANGEGATE_DATABASE_URL": url,
    }
    command = [sys.executable, "-W", "error", "-m", "tests.support.change_maker", str(THREADS), str(EACH)]

    def create(_process: int) -> list[str]:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def create_all() -> list[str]:
        with ThreadPoolExecutor(PROCESSES) as pool:
            return [number for numbers in pool.map(create, range(PROCESSES)) for number in numbers]

    yield create_all


def test_numbers_are_unique_across_threads_and_processes(either_app: Flask, crowd: Callable[[], list[str]]) -> None:
    numbers = crowd()
    assert len(numbers) == len(set(numbers)) == TOTAL
    assert min(numbers) == "CHG0030001"
    with either_app.app_context():
        assert sorted(db.session.execute(select(Task.number)).scalars()) == sorted(numbers)


def test_a_number_is_not_given_twice_after_a_rollback_on_postgresql_nor_left_out_on_sqlite(either_app: Flask) -> None:
    with either_app.app_context():
        assert next_number("change_request", "CHG") == "CHG0030001"
        db.session.commit()
        assert next_number("change_request", "CHG") == "CHG0030002"
        db.session.rollback()
        assert next_number("change_request", "CHG") in {"CHG0030002", "CHG0030003"}


def test_a_writer_does_not_wait_for_another_one_s_number_on_postgresql(postgres_app: Flask) -> None:
    def take() -> str:
        with postgres_app.app_context():
            number = next_number("change_request", "CHG")
            db.session.rollback()
            return number

    with postgres_app.app_context(), ThreadPoolExecutor(1) as pool:
        held = next_number("change_request", "CHG")
        assert pool.submit(take).result(timeout=5) != held
        db.session.rollback()


def test_grows_past_seven_digits(app: Flask) -> None:
    with app.app_context():
        next_number("change_request", "CHG")
        db.session.execute(update(SysNumberCounter).values(number=9_999_999))
        assert next_number("change_request", "CHG") == "CHG10000000"
