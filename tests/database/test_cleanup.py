"""Rows are deleted in batches, which wait for no other transaction."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from changegate.database import cleanup, commit, connection
from changegate.database.cleanup import delete_batch
from changegate.extensions import db
from changegate.models import CmdbCi


def add(*names: str) -> None:
    db.session.add_all([CmdbCi(name=name) for name in names])
    commit()


def count() -> int:
    return connection().execute(select(func.count()).select_from(CmdbCi)).scalar_one()


def test_a_batch_says_whether_there_may_be_more(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "ROWS_AT_ONCE", 2)
    with either_app.app_context():
        add("a", "a", "a", "b")
        outcomes = []
        for left in (2, 1, 1):
            outcomes.append(delete_batch(CmdbCi.sys_id, CmdbCi.name == "a"))
            commit()
            assert count() == left
    assert outcomes == [True, False, False]


def test_a_batch_leaves_rows_that_are_locked(postgres_app: Flask) -> None:
    with postgres_app.app_context():
        add("a", "a", "a")
        with db.engine.begin() as other:
            other.execute(select(CmdbCi.sys_id).limit(1).with_for_update().execution_options(locks_rows=True))
            assert not delete_batch(CmdbCi.sys_id, CmdbCi.name == "a")
            commit()
            assert count() == 1
