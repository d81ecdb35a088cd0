"""Rows for queries, on both databases."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.change_rows import insert_rows


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        insert_rows()
        yield
