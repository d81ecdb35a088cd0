"""Numbers: always unique, and consecutive under normal load."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import SysNumberCounter
from changegate.services.process import numbering
from changegate.services.process.numbering import BLOCK, BURST, next_number


@pytest.fixture
def at_desk(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def _take(count: int) -> list[int]:
    taken = []
    for _ in range(count):
        taken.append(int(next_number("change_request")[3:]))
        db.session.commit()
    return taken


def _counter() -> int:
    return db.session.execute(select(SysNumberCounter.number).filter_by(table="change_request")).scalar_one()


def test_numbers_are_consecutive_under_load(at_desk: Flask) -> None:
    taken = _take(2 * (BURST + BLOCK))

    assert taken == list(range(30001, 30001 + len(taken)))


def test_without_load_no_numbers_are_reserved(at_desk: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 2))
    monkeypatch.setattr(numbering.time, "monotonic", lambda: next(ticks))

    assert _take(3 * BURST)[-1] == _counter()


def test_a_burst_reserves_a_block(at_desk: Flask) -> None:
    assert _counter_after(_take(BURST + 2)) == 30000 + BURST + BLOCK


def _counter_after(taken: list[int]) -> int:
    assert taken[-1] < 30000 + BURST + BLOCK
    return _counter()


def test_a_transaction_that_already_writes_takes_no_block(at_desk: Flask) -> None:
    _take(BURST + 1 + BLOCK)
    with db.session.begin_nested():
        db.session.add(SysNumberCounter(table="elsewhere", number=1))
        db.session.flush()
        numbers = [next_number("change_request") for _ in range(2)]
    db.session.commit()

    assert len(set(numbers)) == 2


def test_threads_never_share_a_number(app: Flask) -> None:
    def work(_number: int) -> list[int]:
        with app.app_context():
            return _take(60)

    with ThreadPoolExecutor(8) as pool:
        taken = [number for numbers in pool.map(work, range(8)) for number in numbers]

    assert len(set(taken)) == len(taken) == 480


def test_a_number_of_a_change_that_failed_may_be_lost_but_never_comes_twice(at_desk: Flask) -> None:
    _take(BURST + 5)
    lost = next_number("change_request")
    db.session.rollback()

    assert next_number("change_request") != lost
