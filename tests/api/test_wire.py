"""What only a live server shows: long URLs, bodies in chunks, and answers that keep their connection in step."""

from collections.abc import Iterator

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.support.servers import running_changegate
from tests.support.table_api import CHANGES

TIMEOUT_SECONDS = 60
MEGABYTE = 1024 * 1024


class Line(requests.Session):
    """One connection to a server, which any answer out of step would spoil."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.auth = ("admin", ADMIN_PASSWORD)

    def call(self, method: str, path: str = CHANGES, **options: object) -> requests.Response:
        return self.request(method, self.base + path, timeout=TIMEOUT_SECONDS, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def url(new_instance: NewInstance) -> Iterator[str]:
    with running_changegate(new_instance()) as server:
        yield server.url


@pytest.fixture
def line(url: str) -> Iterator[Line]:
    with Line(url) as opened:
        yield opened


@pytest.mark.parametrize("kilobytes", [16, 48])
def test_takes_urls_far_longer_than_clients_send(line: Line, kilobytes: int) -> None:
    query = "^".join(["AAAA=BBBB"] * (kilobytes * 1024 // 14))
    answer = line.call("GET", params={"sysparm_query": query, "sysparm_limit": "1"})
    assert answer.status_code == 200
    assert len(answer.request.url or "") > kilobytes * 1024


def test_every_answer_leaves_the_connection_fit_for_the_next(line: Line) -> None:
    made = line.call("POST", json={"short_description": "x"}, headers={"X-no-response-body": "true"})
    assert (made.status_code, made.content) == (201, b"")
    path = f"{CHANGES}/{made.headers['Location'].rpartition('/')[2]}"
    expected: list[tuple[str, int, dict[str, str]]] = [
        ("HEAD", 200, {}),
        ("OPTIONS", 204, {}),
        ("GET", 405, {"X-HTTP-Method-Override": "HEAD"}),
        ("GET", 406, {"Accept": "text/html"}),
        ("HEAD", 406, {"Accept": "text/html"}),
        ("GET", 200, {"Accept": "application/xml"}),
        ("PATCH", 415, {"Content-Type": "text/plain"}),
        ("GET", 204, {"X-HTTP-Method-Override": "DELETE"}),
        ("HEAD", 404, {}),
        ("GET", 404, {}),
    ]
    for method, status, headers in expected:
        answer = line.call(method, path, headers=headers, data=b"x" if method == "PATCH" else None)
        assert answer.status_code == status, (method, headers)
        assert bool(answer.content) == (method != "HEAD" and status != 204)


def test_takes_a_body_in_chunks_and_cuts_none_short(line: Line) -> None:
    answer = line.call("POST", data=iter([b'{"short_', b'description": "in chunks"}']))
    assert answer.json()["result"]["short_description"] == "in chunks"
    padded = line.call("POST", data=(b" " * MEGABYTE for _ in range(10)))
    assert padded.status_code == 201
    refused = line.call("POST", data=iter([b"{}", *[b" " * MEGABYTE] * 10]))
    assert refused.status_code == 400
    assert refused.json()["error"]["detail"] == "Rejected large REST payload. Max allowed: 10485760 bytes."
