"""The administrator at the Table API."""

import pytest
from flask.testing import FlaskClient

from tests.support.table_api import TableApi


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin)
