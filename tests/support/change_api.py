"""A caller of the Change Management API."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.table_api import result_of

PREFIX = "/api/sn_chg_rest/change"


class ChangeApi:
    """One user's calls; a path goes without its prefix, and keyword arguments are parameters."""

    def __init__(self, client: FlaskClient, headers: dict[str, str], prefix: str = PREFIX) -> None:
        self.client = client
        self.headers = headers
        self.prefix = prefix

    def call(self, method: str, path: str = "", body: Any = None, **params: object) -> TestResponse:
        sent = {} if body is None else {"json": body}
        if params:
            sent["query_string"] = _texts(params)
        return self.client.open(self.prefix + path, method=method, headers=self.headers, **sent)

    def get(self, path: str = "", **params: object) -> TestResponse:
        return self.call("GET", path, **params)

    def post(self, path: str = "", body: Any = None, **params: object) -> TestResponse:
        return self.call("POST", path, {} if body is None else body, **params)

    def patch(self, path: str, body: Any = None, **params: object) -> TestResponse:
        return self.call("PATCH", path, {} if body is None else body, **params)

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)

    def created(self, path: str = "", **fields: object) -> dict[str, Any]:
        """Create a record and return it."""
        response = self.post(path, fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = result_of(response)
        return found

    def new(self, path: str = "", **fields: object) -> str:
        """Create a record and return its sys_id."""
        return id_of(self.created(path, **fields))

    def listed(self, path: str = "", field: str = "short_description", **params: object) -> list[Any]:
        """Return the values of one field of a list."""
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return [record[field]["value"] for record in result_of(response)]


def id_of(record: dict[str, Any]) -> str:
    """Return the sys_id of a record in typed values."""
    found: str = record["sys_id"]["value"]
    return found


def _texts(params: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}
