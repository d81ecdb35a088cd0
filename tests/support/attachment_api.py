"""A caller of the Attachment API."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.table_api import CHANGES, TableApi, result_of

ATTACHMENTS = "/api/now/attachment"
CHANGE = "change_request"
ANY_FILE = "application/octet-stream"


class AttachmentApi:
    """One user's calls to the Attachment API under one of its paths."""

    def __init__(self, client: FlaskClient, headers: Mapping[str, str], path: str = ATTACHMENTS) -> None:
        self.client = client
        self.headers = dict(headers)
        self.path = path

    def change(self, **fields: object) -> str:
        """Create a change and return its sys_id."""
        sys_id: str = TableApi(self.client, self.headers, CHANGES).created(**fields)["sys_id"]
        return sys_id

    def page(self, **params: object) -> TestResponse:
        return self.client.get(self.path, query_string=_texts(params), headers=self.headers)

    def get(self, sys_id: str) -> TestResponse:
        return self.client.get(f"{self.path}/{sys_id}", headers=self.headers)

    def file(self, sys_id: str, method: str = "GET", **headers: str) -> TestResponse:
        return self.client.open(f"{self.path}/{sys_id}/file", method=method, headers={**self.headers, **headers})

    def upload(
        self, record: str, content: bytes = b"log", name: str = "deploy.log", table: str = CHANGE, **params: object
    ) -> TestResponse:
        """Send a file as it is; a parameter given as `...` is left out."""
        wanted = {"table_name": table, "table_sys_id": record, "file_name": name} | params
        sent = {key: value for key, value in wanted.items() if value is not ...}
        headers = {**self.headers, "Content-Type": ANY_FILE}
        return self.client.post(f"{self.path}/file", query_string=_texts(sent), data=content, headers=headers)

    def uploaded(self, record: str, content: bytes = b"log", name: str = "deploy.log", **params: object) -> Any:
        """Attach a file and return what is known of it."""
        response = self.upload(record, content, name, **params)
        assert response.status_code == 201, response.text
        return result_of(response)

    def send_form(self, *files: tuple[str, str, bytes], **texts: str) -> TestResponse:
        """Send a form; a file is the name of its part, its own name and its bytes."""
        parts: dict[str, Any] = dict(texts)
        for part, name, content in files:
            parts.setdefault(part, []).append((BytesIO(content), name))
        return self.client.post(f"{self.path}/upload", data=parts, headers=self.headers)

    def rename(self, sys_id: str, body: Any) -> TestResponse:
        return self.client.patch(f"{self.path}/{sys_id}", json=body, headers=self.headers)

    def delete(self, sys_id: str) -> TestResponse:
        return self.client.delete(f"{self.path}/{sys_id}", headers=self.headers)

    def names(self, **params: object) -> list[str]:
        """Return the names of the files that a list finds."""
        response = self.page(**params)
        assert response.status_code == 200, response.text
        return [record["file_name"] for record in result_of(response)]


def _texts(params: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}
