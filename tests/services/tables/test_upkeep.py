"""The jobs that keep statistics and indexes up to date."""

from flask import Flask
from sqlalchemy import text

from changegate.database import commit, connection
from changegate.extensions import now
from changegate.services.tables.upkeep import index_texts, renew_statistics
from tests.support.postgres import either_app, prepared_postgres

__all__ = ["either_app", "prepared_postgres"]
ANALYZED = {
    "sqlite": "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'sys_user'",
    "postgresql": "SELECT count(*) FROM pg_stats WHERE tablename = 'sys_user'",
}


def test_the_statistics_of_served_tables_are_renewed(either_app: Flask) -> None:
    with either_app.app_context():
        assert not renew_statistics(now())
        commit()
        counted = connection().execute(text(ANALYZED[connection().dialect.name])).scalar_one()
        assert counted > 0


def test_nothing_is_left_to_index_after_a_batch_that_was_not_full(either_app: Flask) -> None:
    with either_app.app_context():
        assert not index_texts(now())
        commit()
