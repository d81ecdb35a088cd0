"""PostgreSQL looks up the part of a fragment that few rows have."""

from collections.abc import Mapping
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import insert, text

from changegate.database import connection
from changegate.database.text_estimates import TextEstimates
from changegate.models import ChangeRequest, Task
from changegate.models.base import new_sys_id
from tests.support.queries import find

ROWS = 10_000
FREQUENT = dict.fromkeys(("", "srv", "rv-", "v-0", "-00", "000", "res", "s s", " sr"), ROWS)


@pytest.mark.parametrize(
    ("fragment", "others", "part"),
    [
        ("srv-00417", {}, "00417"),
        ("patch", {}, "patch"),
        # Only frequent trigrams, or a part that many rows have.
        ("srv-000", {}, "srv-000"),
        ("srv-00417", {"00417": ROWS // 10}, "srv-00417"),
        # The longest of several parts, and one at the beginning of a very long text.
        ("a17 srv-00417", {"7 s": ROWS}, "00417"),
        ("res" + "x" * 200, {}, "es" + "x" * 22 + "x"),
        # Of parts without two letters or digits in a row, pg_trgm has no trigrams.
        ("srv-_(!)_-00417", {}, "00417"),
        ("srv-_(!)_-000", {}, "srv-_(!)_-000"),
    ],
)
def test_trigrams_of_most_rows_are_left_out(fragment: str, others: Mapping[str, int], part: str) -> None:
    rows = {**FREQUENT, **others}
    with mock.patch.object(TextEstimates, "count", lambda _estimates, text: rows.get(text, 1)):
        assert TextEstimates("task", "lower(number)").find_rare_part(fragment) == part


def test_estimates_are_those_of_the_statistics(postgres_app: Flask) -> None:
    with postgres_app.app_context():
        hosts = [f"Patch srv-{number:05}" for number in range(0, 30_000, 100)]
        common = {"sys_class_name": "change_request", "state": -5}
        rows = [{"sys_id": new_sys_id(), "number": f"T{host}", "short_description": host, **common} for host in hosts]
        connection().execute(insert(ChangeRequest.__table__), rows)
        connection().execute(text("ANALYZE task").execution_options(locks_rows=True))
        estimates = Task.__table__.info["text_index"]._estimates
        estimates._known.clear()
        part = estimates.find_rare_part("srv-04100")
        assert (part in "srv-04100", "srv" in part) == (True, False)
        assert find("short_descriptionLIKEsrv-04100") == ["Patch srv-04100"]
