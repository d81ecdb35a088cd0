"""The short ways to what an application keeps, and how failures are counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate import create_app
from changegate.errors import RateLimited
from changegate.extensions import connection, db, limiter, now
from changegate.models import SysUser
from tests.conftest import Clock


@pytest.fixture
def at_work(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def test_the_connection_is_the_session_s_own_in_every_transaction(at_work: Flask) -> None:
    for _ in range(2):
        assert connection() is db.session.connection()
        connection().execute(update(SysUser).values(title="x"))
        assert db.session.execute(select(SysUser.title)).scalar_one() == "x"
        db.session.rollback()
        assert db.session.execute(select(SysUser.title)).scalar_one() is None


def test_the_clock_can_be_moved(at_work: Flask, clock: Clock) -> None:
    before = now()
    clock.advance(hours=2)
    assert 7199 <= (now() - before).total_seconds() <= 7205


def test_counts_failures_by_address_and_client(at_work: Flask) -> None:
    for _ in range(20):
        limiter.require_room("192.0.2.1", "ann")
        limiter.count("192.0.2.1", "ann")
    with pytest.raises(RateLimited) as refused:
        limiter.require_room("192.0.2.1", "ann")
    assert 1 <= refused.value.retry_after <= 60
    limiter.require_room("192.0.2.1", "bob")
    limiter.require_room("192.0.2.2", "ann")


def fail(address: str, times: int) -> None:
    for _ in range(times):
        limiter.require_room(address, "ann")
        limiter.count(address, "ann")


@pytest.mark.parametrize(
    ("used", "next_one"),
    [
        ("2001:db8:0:7::1", "2001:db8:0:7:ffff:ffff:ffff:ffff"),
        ("2001:db8:0:7::1", "2001:0DB8:0000:0007:0:0:0:2"),
        ("fe80::1%eth0", "fe80::2"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:192.0.2.1", "::FFFF:c000:201"),
        ("unknown", "unknown"),
    ],
)
def test_whoever_holds_a_network_has_no_more_tries_than_one_address(at_work: Flask, used: str, next_one: str) -> None:
    fail(used, 20)
    with pytest.raises(RateLimited):
        limiter.require_room(next_one, "ann")


@pytest.mark.parametrize(
    ("used", "other"),
    [
        ("2001:db8:0:7::1", "2001:db8:0:8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("192.0.2.1", "192.0.2.2"),
        ("not:an:address", "not:another"),
        ("", "unknown"),
    ],
)
def test_nobody_is_held_up_by_another_network(at_work: Flask, used: str, other: str) -> None:
    fail(used, 20)
    limiter.require_room(other, "ann")


def test_a_network_makes_no_more_guesses_than_one_address(at_work: Flask) -> None:
    for number in range(100):
        limiter.count_guess(f"2001:db8::{number + 1:x}", f"nobody{number}")
    with pytest.raises(RateLimited):
        limiter.require_room_to_guess("2001:db8::ffff", "ann")


def test_counts_for_itself_while_the_shared_store_is_away(tmp_path: Path) -> None:
    app = create_app(instance_path=tmp_path, overrides={"ratelimit_storage_url": "redis://:hidden@127.0.0.1:1"})
    with app.app_context():
        for _ in range(20):
            limiter.require_room("192.0.2.1", "ann")
            limiter.count("192.0.2.1", "ann")
        with pytest.raises(RateLimited):
            limiter.require_room("192.0.2.1", "ann")


def test_counts_nothing_when_told(tmp_path: Path) -> None:
    app = create_app(instance_path=tmp_path, overrides={"ratelimit_enabled": "0"})
    with app.app_context():
        for _ in range(100):
            limiter.count("192.0.2.1", "ann")
        limiter.require_room("192.0.2.1", "ann")
