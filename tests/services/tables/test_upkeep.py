"""The jobs that keep statistics and indexes up to date."""

from itertools import pairwise

from flask import Flask
from sqlalchemy import event, text

from changegate.database import commit, connection
from changegate.database.dialects import analyze
from changegate.extensions import db, now
from changegate.services.tables.upkeep import index_texts, renew_statistics
from tests.support.jobs import repeating_kinds, run_due_jobs, stored_jobs

ANALYZED = {
    "sqlite": "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'sys_user' AND idx IS NOT NULL",
    "postgresql": "SELECT count(*) FROM pg_stats WHERE tablename = 'sys_user'",
}


def test_the_statistics_of_served_tables_are_renewed(either_app: Flask) -> None:
    with either_app.app_context():
        assert not renew_statistics(now())
        commit()
        counted = connection().execute(text(ANALYZED[connection().dialect.name])).scalar_one()
        assert counted > 0


def test_statistics_and_the_index_of_texts_are_jobs_that_repeat(either_app: Flask) -> None:
    run_due_jobs(either_app, "tables.statistics", "tables.index_texts")
    assert len(stored_jobs(either_app, "tables.statistics", "tables.index_texts")) == 2


def test_every_repeating_job_runs_on_both_databases_and_repeats(either_app: Flask) -> None:
    run_due_jobs(either_app, *repeating_kinds())
    assert {job.kind for job in stored_jobs(either_app, *repeating_kinds())} == {*repeating_kinds()}


def test_open_connections_of_sqlite_use_new_statistics(app: Flask) -> None:
    """Without statistics, SQLite takes the index that was made last, which finds half of the rows."""
    # The driver keeps statements, and EXPLAIN does not notice a new schema.
    before, after = (text(f"EXPLAIN QUERY PLAN SELECT * FROM sample WHERE a = 1 AND b = {b}") for b in (0, 1))
    with app.app_context(), db.engine.connect() as beside:
        for statement in ("TABLE sample (a, b)", "INDEX sample_a ON sample (a)", "INDEX sample_b ON sample (b)"):
            connection().execute(text(f"CREATE {statement}"))
        commit()
        # The first time, the table of the statistics is made, which all connections notice.
        analyze(["sample"])
        connection().execute(text("INSERT INTO sample VALUES (:a, :b)"), [{"a": n, "b": n % 2} for n in range(1000)])
        commit()
        assert "sample_b" in beside.execute(before).one().detail
        analyze(["sample"])
        commit()
        beside.execute(text("SELECT count(*) FROM sample"))
        assert "sample_a" in beside.execute(after).one().detail


def test_writers_of_sqlite_wait_for_one_index_at_most(app: Flask) -> None:
    steps: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda _connection, _cursor, text, *_: steps.append(text))
        event.listen(db.engine, "commit", lambda _connection: steps.append("COMMIT"))
        analyze(["task"])
    analyzed = [at for at, step in enumerate(steps) if step.startswith("ANALYZE")]
    assert len(analyzed) > 20
    assert all("COMMIT" in steps[at:following] for at, following in pairwise(analyzed))


def test_nothing_is_left_to_index_after_a_batch_that_was_not_full(either_app: Flask) -> None:
    with either_app.app_context():
        assert not index_texts(now())
        commit()
