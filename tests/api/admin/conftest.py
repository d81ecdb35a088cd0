"""The administrator at the admin API."""

import pytest
from flask.testing import FlaskClient

from tests.support.integration_api import IntegrationApi


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> IntegrationApi:
    return IntegrationApi(client, admin)
