"""Signed roots: what they cover, that they are deterministic, and who can verify them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import orjson
import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import ChangegateError, InputInvalid
from changegate.models import ChgHistory
from changegate.services.evidence.roots import (
    TYP,
    export_root,
    hash_of_heads,
    is_signed,
    list_roots,
    make_daily_root,
    make_root,
    read_exported,
)
from changegate.services.history.actors import SYSTEM
from changegate.services.history.chain import START, append, digest_of
from changegate.services.oauth.jwt_token import has_header_of_instance
from changegate.services.oauth.token_keys import block_token_key, list_published
from tests.services.evidence.tampering import tamper
from tests.support.jobs import run_due_jobs

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        # The template of the first start has a history.
        tamper("DELETE FROM chg_history")
        yield


def grow(*subjects: str) -> None:
    for subject in subjects:
        append("change_request", subject, "moved", {}, SYSTEM)
    commit()


def entry(subject: str, seq: int) -> tuple[tuple[str, str], tuple[int, str]]:
    found = select(ChgHistory.hash).where(ChgHistory.subject_id == subject, ChgHistory.seq == seq)
    return ("change_request", subject), (seq, connection().execute(found).scalar_one())


def test_a_root_covers_the_last_entry_of_every_chain_and_the_root_before_it() -> None:
    grow("a", "b", "b")
    first = make_root(NOON)
    grow("b", "c")
    second = make_root(NOON + timedelta(days=1))
    commit()

    assert first.heads == dict([entry("a", 1), entry("b", 2)])
    assert (first.number, first.chains, first.previous) == (1, 2, START)
    assert (second.number, second.chains, second.previous) == (2, 3, first.digest)
    assert second.root == hash_of_heads(dict([entry("a", 1), entry("b", 3), entry("c", 1)]))
    assert [*list_roots()] == [first, second]


def test_only_chains_that_continued_are_stored_with_a_root() -> None:
    """A list of all chains in each root would let the database grow by its own size every few months."""
    for subject in ("a", "b"):
        append("change_request", subject, "moved", {}, SYSTEM, NOON - timedelta(days=9))
    commit()
    make_root(NOON)
    append("change_request", "b", "moved", {}, SYSTEM, NOON + timedelta(hours=1))
    commit()
    later = make_root(NOON + timedelta(days=1))
    commit()
    assert later.heads == dict([entry("b", 2)])
    assert later.chains == 2


def test_an_entry_that_was_committed_after_a_root_is_covered_by_the_next_one() -> None:
    """The transaction of the entry may have been open while the root was made."""
    append("change_request", "a", "moved", {}, SYSTEM, NOON - timedelta(hours=1))
    commit()
    make_root(NOON)
    append("change_request", "b", "moved", {}, SYSTEM, NOON - timedelta(minutes=1))
    commit()
    assert make_root(NOON + timedelta(days=1)).chains == 2


def test_a_root_without_any_history_is_a_root() -> None:
    root = make_root(NOON)
    assert (root.chains, root.root) == (0, digest_of("[]"))


def test_the_published_key_verifies_a_root_and_no_root_is_an_access_token() -> None:
    grow("a")
    root = make_root(NOON)
    commit()
    [published] = list_published(NOON)
    header = jwt.get_unverified_header(root.signed)
    assert header == {"alg": "ES256", "kid": published["kid"], "typ": TYP}
    statement = jwt.decode(root.signed, jwt.PyJWK(published), algorithms=["ES256"])
    assert statement == {
        "number": 1,
        "made_at": "2026-11-28T12:00:00Z",
        "chains": 1,
        "root": hash_of_heads(dict([entry("a", 1)])),
        "previous": START,
    }
    assert not has_header_of_instance(root.signed)


def test_an_exported_root_has_all_heads_and_is_read_again() -> None:
    grow("a")
    make_root(NOON)
    grow("b")
    make_root(NOON + timedelta(days=1))
    commit()

    older, newest = (read_exported(export_root(number)) for number in (1, None))
    assert (older.number, newest.number) == (1, 2)
    assert newest.heads == dict([entry("a", 1), entry("b", 1)])
    content = orjson.loads(export_root())
    assert digest_of(orjson.dumps(content["heads"]).decode()) == newest.root
    with pytest.raises(ChangegateError, match="There is no root 3"):
        export_root(3)


def test_without_a_root_there_is_nothing_to_export() -> None:
    with pytest.raises(ChangegateError, match="There is no root yet"):
        export_root()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"no JSON",
        lambda content: b"[]",
        lambda content: orjson.dumps(content | {"format": "another"}),
        lambda content: orjson.dumps(content | {"heads": []}),
        lambda content: orjson.dumps(content | {"heads": None}),
        lambda content: orjson.dumps(content | {"heads": [[1]]}),
        lambda content: orjson.dumps(content | {"signed": content["signed"][:-8] + "AAAAAAAA"}),
        lambda content: orjson.dumps(content | {"signed": 1}),
        lambda content: orjson.dumps(content | {"signed": "a.b.c"}),
        lambda content: orjson.dumps(content | {"signed": "e30." + content["signed"].partition(".")[2]}),
        lambda content: orjson.dumps(content | {"public_jwk": {"kty": "oct", "k": "AAAA"}}),
        lambda content: orjson.dumps(content | {"public_jwk": content["public_jwk"] | {"kid": "another"}}),
        lambda content: orjson.dumps(content | {"public_jwk": 1}),
    ],
)
def test_an_altered_file_is_refused(change: Any) -> None:
    grow("a")
    make_root(NOON)
    content = orjson.loads(export_root())
    with pytest.raises(InputInvalid):
        read_exported(change(content))


def test_a_root_of_another_key_is_not_signed() -> None:
    root = make_root(NOON)
    commit()
    block_token_key(root.public_jwk["kid"], NOON)
    other = make_root(NOON + timedelta(days=1))
    assert root.public_jwk != other.public_jwk
    assert is_signed(root) and is_signed(other)
    content = orjson.loads(export_root(1)) | {"public_jwk": dict(other.public_jwk)}
    with pytest.raises(InputInvalid, match="signature"):
        read_exported(orjson.dumps(content))


def test_the_job_makes_one_root_a_day() -> None:
    grow("a")
    for hours in (0, 1, 10):
        assert make_daily_root(NOON + timedelta(hours=hours)) is False
        commit()
    assert [root.made_at for root in list_roots()] == [NOON]
    make_daily_root(NOON + timedelta(hours=13))
    commit()
    assert [root.number for root in list_roots()] == [1, 2]


def test_the_worker_runs_the_job(either_app: Flask) -> None:
    grow("a")
    run_due_jobs(either_app, "history.root")
    assert [root.chains for root in list_roots()] == [1]
