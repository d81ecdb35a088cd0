"""The query plans of the statements of a call about one table."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from flask import Flask
from sqlalchemy import event

from benchmarks.common_queries import CHANGES, CommonQuery
from changegate.database import QueuedConnection
from changegate.database.postgres import DirectConnection
from changegate.extensions import db

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (COSTS OFF) "}
# The steps of a plan that read rows, on both databases, and their indexes.
STEP = re.compile(
    r"(?P<sqlite>SCAN|SEARCH) (?:task|sysapproval_approver)\b"
    r"(?: USING (?:(?:COVERING )?INDEX (?P<index>\w+)|(?P<rowid>INTEGER PRIMARY KEY)))?"
    r"|SCAN (?P<texts>task_text) VIRTUAL TABLE"
    r"|(?P<postgresql>Seq Scan|(?:Index Only|Index|Bitmap Heap) Scan|Bitmap Index Scan)(?: Backward)?"
    r"(?: using (?P<named>\w+))?(?: on (?P<on>\w+))?"
)


def plan_of(app: Flask, query: CommonQuery, headers: Mapping[str, str]) -> list[str]:
    """Return the steps of the plans for one call."""
    client = app.test_client()
    client.get(query.path(), headers=headers)
    with app.app_context(), noted_plans("task" if query.table == CHANGES else query.table) as plans:
        answer = client.get(query.path(), headers=headers)
    if answer.status_code != 200:
        raise ValueError(f"{query.name}: {answer.status_code} {answer.text[:300]}")
    return [step for plan in plans for step in plan]


def indexes_of(plan: list[str]) -> list[str]:
    """Return the indexes that a plan uses, without a prefix, and `all rows` for a table that is read as a whole."""
    found = {_index_of(match) for step in plan for match in STEP.finditer(step)}
    return sorted(name.removeprefix("ix_") for name in found if name)


def _index_of(match: re.Match[str]) -> str:
    if match["texts"]:
        return match["texts"]
    if match["sqlite"]:
        is_own_key = match["rowid"] or (match["index"] or "").startswith("sqlite_autoindex")
        return "" if is_own_key else match["index"] or "all rows"
    if match["postgresql"] == "Seq Scan":
        return "all rows" if match["on"] in {"task", "sysapproval_approver"} else ""
    name = match["named"] or (match["on"] if match["postgresql"] == "Bitmap Index Scan" else "") or ""
    return "" if name.startswith("pk_") else name


@contextmanager
def noted_plans(table: str) -> Iterator[list[list[str]]]:
    """Yield a list that collects the plans of statements about a table while the block runs."""
    plans: list[list[str]] = []
    is_about = re.compile(rf"\bFROM {table}\b")

    def noting(fetch: Any, prefix: str) -> Any:
        def fetch_noted(driver: Any, text: str, parameters: Any) -> Any:
            if is_about.search(text):
                plans.append([str(row[-1]) for row in fetch(driver, prefix + text, parameters)])
            return fetch(driver, text, parameters)

        return fetch_noted

    def note(connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        prefix = EXPLAIN[db.engine.dialect.name]
        if is_about.search(text) and not text.startswith("EXPLAIN"):
            plans.append([str(row[-1]) for row in connection.exec_driver_sql(prefix + text, parameters)])

    drivers = ((QueuedConnection, EXPLAIN["sqlite"]), (DirectConnection, EXPLAIN["postgresql"]))
    with ExitStack() as stack:
        for driver, prefix in drivers:
            stack.enter_context(mock.patch.object(driver, "fetch_all", noting(driver.fetch_all, prefix)))
        event.listen(db.engine, "before_cursor_execute", note)
        stack.callback(event.remove, db.engine, "before_cursor_execute", note)
        yield plans
