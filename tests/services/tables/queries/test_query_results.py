"""Both databases find the rows that a plain evaluation of the query finds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings

from changegate.services.tables.queries.encoded_query import parse_encoded_query, render_encoded_query
from tests.services.tables.queries.query_texts import QUERIES
from tests.support.change_rows import insert_rows, world_of
from tests.support.queries import find

Reading = Callable[[str], list[str]]


@pytest.fixture
def plainly_found(either_app: Flask) -> Iterator[Reading]:
    """Return the plain reading of a text over stored rows, in an application context at an instant that stays."""
    world = world_of(datetime(2026, 1, 31, 8, 30, tzinfo=UTC))
    either_app.config["CLOCK"] = lambda: world.now
    with either_app.app_context():
        rows = insert_rows()

        def found(text: str) -> list[str]:
            query = parse_encoded_query(text)
            return [row["number"] for row in rows if world.finds(query, row)]

        yield found


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=QUERIES)
def test_finds_what_a_plain_reading_finds(plainly_found: Reading, text: str) -> None:
    expected = plainly_found(text)
    assert sorted(find(text, shown="number")) == expected
    assert sorted(find(render_encoded_query(parse_encoded_query(text)), shown="number")) == expected
