"""A refusal reaches a client that is still sending: over TLS, a connection closed under it would swallow the answer."""

from pathlib import Path

import pytest
import requests

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.servers import Running

MEGABYTE = 1024 * 1024
NOWHERE = {"table_name": "change_request", "table_sys_id": "0" * 32, "file_name": "image.bin"}
FILES = "/api/now/attachment/file"
CHANGES = "/api/now/table/change_request"


@pytest.mark.parametrize("megabytes", [1, 9, 12])
@pytest.mark.parametrize(
    ("path", "params", "status"),
    [(FILES, NOWHERE, 404), ("/api/now/table/nowhere", {}, 400), (CHANGES, {}, 415)],
    ids=["no record", "no table", "no type"],
)
def test_a_large_body_is_refused_with_a_reason(
    server: Running, ca: Path, path: str, params: dict[str, str], status: int, megabytes: int
) -> None:
    sent = {"data": bytes(megabytes * MEGABYTE), "headers": {"Content-Type": "image/png"}, "params": params}
    answer = requests.post(server.url + path, auth=(USER_NAME, PASSWORD), verify=str(ca), timeout=60, **sent)
    assert answer.status_code == status
    assert answer.json()["status"] == "failure"


def test_a_body_over_the_limit_is_refused_with_the_limit(server: Running, ca: Path) -> None:
    sent = {"data": b" " * (12 * MEGABYTE), "headers": {"Content-Type": "application/json"}}
    answer = requests.post(server.url + CHANGES, auth=(USER_NAME, PASSWORD), verify=str(ca), timeout=60, **sent)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == (
        "Rejected large REST payload with content-length = 12582912 bytes. Max allowed: 10485760 bytes."
    )
