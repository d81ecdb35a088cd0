import logging
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, event, insert, select, update

from changegate.database import engine_options, guard_engine
from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.extensions import db
from changegate.models import JwksCache, OAuthEntity
from changegate.services.keys import key_renewal, key_store
from changegate.services.keys.jwks_cache_rows import JwksCacheRows
from changegate.services.keys.jwks_fetch import FetchPolicy
from changegate.services.keys.key_store import KeySetTooOld, KeySource, KeyStore, clear_cached_keys
from changegate.services.keys.single_flight import SingleFlight
from tests.support import misbehaving_jwks as badly
from tests.support.concurrent_calls import concurrent_calls
from tests.support.forge import ec_key, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import misbehaving_jwks, reply

COOLDOWN = timedelta(seconds=30)
OLD = key_set_document(jwk(rsa_key(), "old"))
BOTH = key_set_document(jwk(rsa_key(), "old"), jwk(ec_key(), "new"))
NEW = key_set_document(jwk(ec_key(), "new"))
DOWN = reply(status=503)


class Clock:
    def __init__(self):
        self.instant = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.instant

    def advance(self, **duration):
        self.instant += timedelta(**duration)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "changegate.db"


@pytest.fixture
def app(database):
    app, url = Flask("test"), f"sqlite:///{database}"
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(url))
    db.init_app(app)
    with app.app_context():
        guard_engine(db.engine)
        db.create_all()
        for name in ("e1", "e2"):
            values = {"sys_id": name, "name": name, "client_id": name, "issuer": "i", "jwks_url": "u"}
            with db.engine.begin() as connection:
                connection.execute(insert(OAuthEntity).values(values))
        yield app
        db.session.remove()
        db.drop_all()
        db.engine.dispose()


@pytest.fixture
def server():
    with misbehaving_jwks(reply(OLD)) as running:
        yield running


@pytest.fixture
def new_store(app, clock):
    """Make stores: each is another process, as far as the store can tell."""
    return lambda: KeyStore(FetchPolicy(allow_loopback=True), COOLDOWN, clock)


@pytest.fixture
def store(new_store):
    return new_store()


@pytest.fixture
def statements(app):
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def source(server):
    """Read the source as a request does, with what is cached at this moment."""

    def read(entity_id="e1", url=None, minutes=60):
        blank = KeySource(entity_id, url or server.url(), minutes)
        row = JwksCacheRows(db.engine).find(blank)
        return row.source if row else blank

    return read


def kids(key_set):
    return [key.kid for key in key_set.keys]


def row(entity_id="e1"):
    with db.engine.connect() as connection:
        return connection.execute(select(JwksCache).where(JwksCache.entity_id == entity_id)).one_or_none()


def change_row(**values):
    with db.engine.begin() as connection:
        connection.execute(update(JwksCache).values(values))


def eventually(condition):
    for _ in range(6_000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def in_threads(app, count, work):
    def run(number):
        with app.app_context():
            return work(number)

    with concurrent_calls(count) as pool:
        return list(pool.map(run, range(count)))


def test_the_first_request_fetches_and_the_next_costs_no_sql(store, source, server, clock, statements):
    assert kids(store.get_key_set(source())) == ["old"]
    cached = source()
    clock.advance(minutes=59)
    statements.clear()
    assert kids(store.get_key_set(cached)) == ["old"]
    assert (server.hits, statements) == (1, [])


def test_what_was_fetched_is_recorded(store, source, server, clock):
    server.answer = reply(OLD, ETag='"1"', Last_Modified="Thu, 01 Jan 2026", Cache_Control="max-age=120")
    store.get_key_set(source())
    kept = row()
    assert (kept.document, kept.etag, kept.last_modified) == (OLD, '"1"', "Thu, 01 Jan 2026")
    assert (kept.fetched_at, kept.fresh_until) == (clock(), clock() + timedelta(seconds=120))
    assert (kept.failures, kept.error, kept.http_status, kept.fetch_lease_until) == (0, None, 200, None)


def test_the_last_good_set_survives_a_restart(store, new_store, source, server):
    store.get_key_set(source())
    server.answer = DOWN
    assert kids(new_store().get_key_set(source())) == ["old"]
    assert server.hits == 1


def test_another_process_serves_what_this_one_fetched(store, new_store, source, server):
    other = new_store()
    store.get_key_set(source())
    server.answer = reply(BOTH)
    store.refresh(source())
    assert kids(other.get_key_set(source())) == ["old", "new"]
    assert server.hits == 2


def test_a_stale_set_is_served_at_once_while_it_is_renewed(store, source, server, clock):
    store.get_key_set(source())
    clock.advance(minutes=61)
    released = threading.Event()
    server.answer = lambda *both: released.wait(60) and reply(NEW)(*both)
    assert kids(store.get_key_set(source())) == ["old"]
    assert kids(store.get_key_set(source())) == ["old"], "nor does a second request wait"
    released.set()
    assert eventually(lambda: row().document == NEW)
    assert kids(store.get_key_set(source())) == ["new"]
    assert server.hits == 2


def test_after_ten_stale_minutes_the_request_waits_for_the_renewal(store, source, server, clock):
    store.get_key_set(source())
    clock.advance(minutes=71)
    server.answer = reply(NEW)
    assert kids(store.get_key_set(source())) == ["new"]


@pytest.mark.parametrize(
    "answer",
    [
        DOWN,
        reply(b'{"keys":[]}'),
        reply(b"<html>", content_type="text/html"),
        reply(b"<html>"),
        reply(key_set_document(jwk(rsa_key(), use="enc"))),
        reply(b" " * 300_000),
        reply(status=302, Location="http://169.254.169.254/"),
        badly.raw(b""),
    ],
    ids=["503", "empty", "web page", "web page as JSON", "no usable key", "too large", "redirect", "closed"],
)
def test_a_bad_answer_never_replaces_a_good_set(store, source, server, clock, answer):
    store.get_key_set(source())
    server.answer = answer
    clock.advance(hours=24, minutes=59)
    assert kids(store.get_key_set(source())) == ["old"]
    assert (row().document, row().failures, row().fetch_lease_until) == (OLD, 1, None)
    assert row().error
    clock.advance(minutes=2)
    with pytest.raises(KeySetTooOld, match=r"2026-03-01 12:00 UTC, is too old"):
        store.get_key_set(source())


def test_an_outage_is_over_with_the_first_good_answer(store, source, server, clock):
    store.get_key_set(source())
    server.answer = DOWN
    clock.advance(hours=30)
    with pytest.raises(KeySetTooOld):
        store.get_key_set(source())
    server.answer = reply(NEW)
    failed_at = row().failed_at
    clock.advance(seconds=10)
    assert kids(store.get_key_set(source())) == ["new"]
    # Administrators see the last error and its time until a fetch fails again.
    assert (row().failures, row().failed_at) == (0, failed_at)
    assert "status 503" in row().error


def test_a_key_that_the_provider_dropped_is_gone_after_the_renewal(store, source, server, clock):
    server.answer = reply(BOTH)
    store.get_key_set(source())
    server.answer = reply(NEW)
    clock.advance(minutes=75)
    assert kids(store.get_key_set(source())) == ["new"]


def test_a_first_fetch_that_fails_says_why_and_backs_off(store, new_store, source, server, clock):
    server.answer = DOWN
    for _ in range(3):
        with pytest.raises(JwksFetchFailed, match=r"no key set yet.*status 503"):
            store.get_key_set(source())
    with pytest.raises(JwksFetchFailed):
        new_store().get_key_set(source())
    assert (server.hits, row().http_status) == (1, 503)
    clock.advance(seconds=7)
    server.answer = reply(OLD)
    assert kids(store.get_key_set(source())) == ["old"]


def test_failures_space_the_fetches_out(store, source, server, clock):
    server.answer = DOWN
    for _ in range(3600):
        with pytest.raises(JwksFetchFailed):
            store.get_key_set(source())
        clock.advance(seconds=1)
    assert 15 <= server.hits <= 25, "5, 10, 20, 40, 80, 160 and then every 300 seconds"


def test_a_stale_set_costs_no_sql_while_backing_off(store, source, server, clock, statements):
    store.get_key_set(source())
    server.answer = DOWN
    clock.advance(hours=2)
    store.get_key_set(source())
    cached = source()
    statements.clear()
    assert kids(store.get_key_set(cached)) == ["old"]
    assert (server.hits, statements) == (2, [])


def test_an_unchanged_document_is_renewed_by_304(store, source, server, clock):
    server.answer = reply(OLD, ETag='"1"', Last_Modified="Thu, 01 Jan 2026")
    store.get_key_set(source())
    server.answer = reply(status=304, Cache_Control="max-age=600")
    clock.advance(hours=2)
    assert kids(store.get_key_set(source())) == ["old"]
    asked = server.requests[1].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"1"', "Thu, 01 Jan 2026")
    kept = row()
    assert (kept.document, kept.etag, kept.http_status) == (OLD, '"1"', 304)
    assert kept.fresh_until == clock() + timedelta(minutes=10)


def test_the_first_rotation_after_a_start_is_served_at_once(store, source, server):
    store.get_key_set(source())
    server.answer = reply(BOTH)
    assert kids(store.refetch_for_unknown_kid(source(), "new")) == ["old", "new"]
    assert server.hits == 2


def test_a_flood_of_random_kids_costs_one_fetch_per_cooldown(store, new_store, source, server, clock, statements):
    store.get_key_set(source())
    stores = [store, new_store()]
    assert [stores[n % 2].refetch_for_unknown_kid(source(), f"k{n}") for n in range(100)] == [None] * 100
    cached = source()
    statements.clear()
    assert [store.refetch_for_unknown_kid(cached, f"k{n}") for n in range(1000)] == [None] * 1000
    assert (server.hits, statements) == (2, [])
    server.answer = reply(BOTH)
    clock.advance(seconds=29)
    assert store.refetch_for_unknown_kid(source(), "new") is None
    clock.advance(seconds=1)
    assert kids(store.refetch_for_unknown_kid(source(), "new")) == ["old", "new"]
    assert server.hits == 3


def test_a_flood_does_not_delay_the_scheduled_renewal(store, source, server, clock):
    store.get_key_set(source())
    clock.advance(minutes=75)
    server.answer = reply(NEW)
    store.refetch_for_unknown_kid(source(), "random")
    server.answer = reply(BOTH)
    clock.advance(minutes=75)
    assert kids(store.get_key_set(source())) == ["old", "new"]


def test_the_cooldown_begins_even_if_the_fetch_fails(store, source, server):
    store.get_key_set(source())
    server.answer = DOWN
    for kid in ("a", "b", "c"):
        assert store.refetch_for_unknown_kid(source(), kid) is None
    assert server.hits == 2
    assert kids(store.get_key_set(source())) == ["old"]


def test_a_newer_set_of_another_process_is_used_without_a_fetch(store, new_store, source, server):
    store.get_key_set(source())
    before = source()
    server.answer = reply(BOTH)
    new_store().refresh(source())
    assert kids(store.refetch_for_unknown_kid(before, "new")) == ["old", "new"]
    assert (server.hits, row().unknown_kid_fetch_at) == (2, None)


def test_concurrent_requests_after_a_rotation_share_one_fetch(app, store, new_store, source, server):
    store.get_key_set(source())
    before, stores = source(), [store, new_store()]
    server.answer = badly.after(0.3, reply(BOTH))
    results = in_threads(app, 12, lambda n: kids(stores[n % 2].refetch_for_unknown_kid(before, "new")))
    assert results == [["old", "new"]] * 12
    assert server.hits == 2


def test_a_node_whose_clock_is_behind_respects_the_leases_of_others(app, store, source, server, clock):
    behind = KeyStore(FetchPolicy(allow_loopback=True), COOLDOWN, lambda: clock() - timedelta(seconds=2))
    blank = source()
    server.answer = badly.after(0.3, reply(OLD))
    both = in_threads(
        app, 2, lambda n: eventually(lambda: server.hits >= n) and kids((store, behind)[n].get_key_set(blank))
    )
    before = source()
    server.answer = badly.after(0.3, reply(BOTH))
    both += in_threads(
        app,
        2,
        lambda n: (
            eventually(lambda: server.hits >= n + 1) and kids((store, behind)[n].refetch_for_unknown_kid(before, "new"))
        ),
    )
    assert both == [["old"], ["old"], ["old", "new"], ["old", "new"]]
    assert server.hits == 2


def test_fifty_first_requests_are_one_fetch(app, store, new_store, source, server):
    server.answer = badly.after(0.3, reply(OLD))
    blank, stores = source(), [store, new_store()]
    results = in_threads(app, 50, lambda n: kids(stores[n % 2].get_key_set(blank)))
    assert results == [["old"]] * 50
    assert server.hits == 1


def test_requests_stop_waiting_in_time(store, source, server, clock, monkeypatch):
    monkeypatch.setattr(key_store, "LEASE", timedelta(seconds=0.3))
    server.answer = DOWN
    with pytest.raises(JwksFetchFailed):
        store.get_key_set(source())
    clock.advance(minutes=1)
    # The error is that of the failure before.
    change_row(fetch_lease_until=clock() + timedelta(seconds=9), failures=0)
    with pytest.raises(JwksFetchFailed, match="being fetched at this moment"):
        store.get_key_set(source())
    assert server.hits == 1


def test_the_lease_of_a_process_that_died_runs_out(store, source, server, clock):
    server.answer = DOWN
    with pytest.raises(JwksFetchFailed):
        store.get_key_set(source())
    change_row(fetch_lease_until=clock() + timedelta(seconds=10))
    server.answer = reply(OLD)
    clock.advance(seconds=10)
    assert kids(store.get_key_set(source())) == ["old"]


@pytest.mark.parametrize("minutes", [61, 71])
def test_old_keys_are_served_without_waiting_for_anothers_renewal(
    store, new_store, source, server, clock, monkeypatch, minutes
):
    store.get_key_set(source())
    clock.advance(minutes=minutes)
    change_row(fetch_lease_until=clock() + timedelta(seconds=5))
    monkeypatch.setattr(SingleFlight, "wait", None)
    assert kids(store.get_key_set(source())) == ["old"]
    assert kids(new_store().get_key_set(source())) == ["old"]
    assert server.hits == 1


def test_a_clock_that_was_set_back_makes_a_set_expire(store, source, server, clock):
    store.get_key_set(source())
    clock.advance(days=-1)
    server.answer = reply(NEW)
    assert kids(store.get_key_set(source())) == ["new"]


def test_a_changed_url_never_gets_the_keys_of_the_former(store, source, server):
    store.get_key_set(source())
    before = source()
    moved = KeySource("e1", server.url(path="/moved"), 60, before.cached)
    server.answer = DOWN
    with pytest.raises(JwksFetchFailed):
        store.get_key_set(moved)
    assert (row().url, row().document) == (moved.url, None)


def test_a_fetch_under_way_does_not_fill_the_row_of_a_new_url(app, store, source, server):
    old, moved = source(), source(url=server.url(path="/moved"))

    def answer(connection, received):
        if received.target != "/moved":
            with app.app_context(), db.engine.begin() as other:
                clear_cached_keys(other, "e1")
            with app.app_context():
                store.get_key_set(moved)
            reply(OLD)(connection, received)
        else:
            reply(NEW)(connection, received)

    server.answer = answer
    with pytest.raises(JwksFetchFailed, match="no longer exists, or its JWKS URL has just been changed"):
        store.get_key_set(old)
    assert (row().url, row().document) == (moved.url, NEW)


def test_clearing_goes_with_the_callers_transaction(store, source):
    store.get_key_set(source())
    clear_cached_keys(db.session.connection(), "e1")
    db.session.rollback()
    assert row() is not None
    clear_cached_keys(db.session.connection(), "e1")
    db.session.commit()
    assert row() is None


def test_an_integration_that_is_gone_has_no_keys(store, source):
    with db.engine.begin() as connection:
        connection.execute(delete(OAuthEntity).where(OAuthEntity.sys_id == "e1"))
    with pytest.raises(JwksFetchFailed, match="no longer exists"):
        store.get_key_set(source())
    assert store.refetch_for_unknown_kid(source(), "k") is None


def test_two_integrations_with_one_url_keep_their_own(store, source, server):
    store.get_key_set(source("e1"))
    server.answer = reply(NEW)
    assert kids(store.get_key_set(source("e2"))) == ["new"]
    assert kids(store.get_key_set(source("e1"))) == ["old"]


def test_a_stored_document_that_became_unusable_is_fetched_again(new_store, source, server):
    server.answer = reply(OLD, ETag='"1"')
    new_store().get_key_set(source())
    change_row(document=b"spoilt", document_sha256="0" * 64)
    assert kids(new_store().get_key_set(source())) == ["old"]
    assert "if-none-match" not in server.requests[1].headers


def test_keys_are_kept_though_the_callers_transaction_rolls_back(store, source):
    store.get_key_set(source())
    db.session.rollback()
    assert row().document == OLD


def test_no_transaction_is_open_while_the_network_is_waited_for(store, source, server, database):
    locked = []

    def answer(connection, received):
        other = sqlite3.connect(database, timeout=0.2)
        other.execute("BEGIN EXCLUSIVE")
        locked.append(True)
        other.close()
        reply(OLD)(connection, received)

    server.answer = answer
    store.get_key_set(source())
    store.refetch_for_unknown_kid(source(), "k")
    assert locked == [True, True]


def test_refresh_fetches_whatever_the_cache_says(store, source, server, clock):
    server.answer = DOWN
    with pytest.raises(JwksFetchFailed):
        store.refresh(source())
    server.answer = reply(OLD, ETag='"1"', content_type="text/plain")
    fetched = store.refresh(source())
    assert kids(fetched.key_set) == ["old"]
    assert (fetched.document.status, len(fetched.document.warnings)) == (200, 1)
    server.answer = reply(NEW)
    assert kids(store.refresh(source()).key_set) == ["new"]
    assert "if-none-match" not in server.requests[2].headers
    assert kids(store.get_key_set(source())) == ["new"]


def test_a_refresh_that_fails_keeps_the_good_set(store, source, server):
    store.get_key_set(source())
    server.answer = reply(b'{"keys":[]}')
    with pytest.raises(JwksUnusable, match="is empty"):
        store.refresh(source())
    assert (row().document, row().error, row().http_status) == (OLD, "The key set is empty.", 200)
    assert kids(store.get_key_set(source())) == ["old"]


def test_a_probe_stores_nothing(store, server, statements):
    fetched = store.probe(server.url())
    assert (kids(fetched.key_set), fetched.document.content_type) == (["old"], "application/json")
    assert statements == []
    server.answer = DOWN
    with pytest.raises(JwksFetchFailed):
        store.probe(server.url())


def test_changes_of_keys_are_logged_with_their_thumbprints(store, source, server, caplog):
    caplog.set_level(logging.INFO)
    store.get_key_set(source())
    server.answer = reply(NEW)
    store.refetch_for_unknown_kid(source(), "new")
    old, new = (key_store.KeySet.parse(document).keys[0].thumbprint for document in (OLD, NEW))
    assert f"added ['{old}'], removed []" in caplog.messages[0]
    assert f"added ['{new}'], removed ['{old}']" in caplog.messages[1]


def test_a_leaked_private_key_is_logged_as_an_error(store, source, server, caplog):
    server.answer = reply(key_set_document(jwk(rsa_key(), "leaky", d="AQAB"), jwk(ec_key(), "new")))
    store.get_key_set(source())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "'leaky'" in record.getMessage()


def test_a_fault_while_keeping_keys_is_logged_and_not_raised(store, source, server, caplog, monkeypatch):
    store.get_key_set(source())

    def fall_over(*_arguments):
        raise RuntimeError("inner detail")

    monkeypatch.setattr(key_renewal.JwksCacheRows, "store_document", fall_over)
    assert store.refetch_for_unknown_kid(source(), "k") is None
    assert "Keeping a key set failed (RuntimeError)" in caplog.messages
