"""Callers of the Change Management API."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import basic
from tests.support.change_api import ChangeApi


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> ChangeApi:
    return ChangeApi(client, admin)


@pytest.fixture
def itil(client: FlaskClient, add_user: Callable[..., str]) -> ChangeApi:
    """The calls of a user who works on changes."""
    add_user("ines", "itil")
    return ChangeApi(client, basic("ines", "itil itil itil"))
