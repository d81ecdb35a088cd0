"""A caller of the Table API."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

CHANGES = "/api/now/table/change_request"
USERS = "/api/now/table/sys_user"


class TableApi:
    """One user's calls to one table; parameters go without their `sysparm_`."""

    def __init__(self, client: FlaskClient, headers: dict[str, str], path: str = CHANGES) -> None:
        self.client = client
        self.headers = headers
        self.path = path

    def page(self, **params: object) -> TestResponse:
        return self.client.get(self.path, query_string=_sysparms(params), headers=self.headers)

    def get(self, sys_id: str, **params: object) -> TestResponse:
        return self.client.get(f"{self.path}/{sys_id}", query_string=_sysparms(params), headers=self.headers)

    def create(self, body: Any = None, **params: object) -> TestResponse:
        body = {} if body is None else body
        return self.client.post(self.path, json=body, query_string=_sysparms(params), headers=self.headers)

    def update(self, sys_id: str, body: Any, **params: object) -> TestResponse:
        path = f"{self.path}/{sys_id}"
        return self.client.patch(path, json=body, query_string=_sysparms(params), headers=self.headers)

    def delete(self, sys_id: str) -> TestResponse:
        return self.client.delete(f"{self.path}/{sys_id}", headers=self.headers)

    def created(self, **fields: object) -> dict[str, Any]:
        """Create a record and return it."""
        response = self.create(fields)
        assert response.status_code == 201, response.text
        return result_of(response)

    def found(self, query: str, field: str = "short_description") -> list[str]:
        """Return one field of what a query finds."""
        response = self.page(query=query, fields=field)
        assert response.status_code == 200, response.text
        return [record[field] for record in result_of(response)]


def result_of(response: TestResponse) -> Any:
    return response.get_json()["result"]


def error_of(response: TestResponse) -> tuple[str, str | None]:
    """Return message and detail of the error envelope, which has nothing else (docs/reference/table-api.md#errors)."""
    assert response.content_type == "application/json;charset=UTF-8"
    body = response.get_json()
    assert set(body) == {"error", "status"}
    assert body["status"] == "failure"
    assert set(body["error"]) == {"message", "detail"}
    return body["error"]["message"], body["error"]["detail"]


def _sysparms(params: dict[str, object]) -> dict[str, str]:
    return {f"sysparm_{name}": str(value) for name, value in params.items()}
