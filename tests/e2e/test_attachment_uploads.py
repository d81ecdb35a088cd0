"""Uploads and downloads over a live port: large ones, and those whose sender dies half-way."""

import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, NewInstance, basic
from tests.support.servers import Running, running_changegate, workers_of

MEGABYTE = 1024 * 1024
MOST = 40 * MEGABYTE
LARGE = os.urandom(MEGABYTE) * 30
# What the allocators of four threads may keep; the file itself would take more.
MOST_GROWTH = 24 * MEGABYTE
ATTACHMENTS = "/api/now/attachment"
UPLOADS = f"{ATTACHMENTS}/file"
FORMS = f"{ATTACHMENTS}/upload"
CHANGES = "/api/now/table/change_request"
ADMIN = basic("admin", ADMIN_PASSWORD)
BINARY = {"Content-Type": "application/octet-stream"}
TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def server(new_instance: NewInstance) -> Iterator[Running]:
    with running_changegate(new_instance(), attachment_max_bytes=str(MOST)) as running:
        yield running


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.auth = ("admin", ADMIN_PASSWORD)
        yield opened


@pytest.fixture
def change(server: Running, session: requests.Session) -> str:
    made = session.post(f"{server.url}{CHANGES}", json={}, timeout=TIMEOUT_SECONDS)
    sys_id: str = made.json()["result"]["sys_id"]
    return sys_id


def where(change: str) -> dict[str, str]:
    return {"table_name": "change_request", "table_sys_id": change, "file_name": "image.bin"}


def count_rows(server: Running) -> tuple[int, int]:
    """Return how many files and pieces of files the database holds."""
    with closing(sqlite3.connect(server.instance / "changegate.db")) as database:
        [files] = database.execute("SELECT count(*) FROM sys_attachment").fetchone()
        [pieces] = database.execute("SELECT count(*) FROM sys_attachment_doc").fetchone()
    return files, pieces


def forget_peaks(server: Running) -> None:
    """Let the most memory that processes have had be what they have now (Linux's proc(5), clear_refs)."""
    for pid in processes_of(server):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_of(server: Running) -> int:
    """Return the most memory, in bytes, that the processes of the server have had, added up."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in processes_of(server)]
    peaks = [line.split()[1] for status in statuses for line in status.splitlines() if line.startswith("VmHWM:")]
    return sum(int(peak) for peak in peaks) * 1024


def processes_of(server: Running) -> list[int]:
    return [server.process.pid, *workers_of(server)]


def test_a_large_file_passes_through_little_memory(server: Running, session: requests.Session, change: str) -> None:
    small = session.post(server.url + UPLOADS, params=where(change), data=b"x", headers=BINARY, timeout=TIMEOUT_SECONDS)
    assert small.status_code == 201
    forget_peaks(server)
    before = peak_of(server)
    made = session.post(server.url + UPLOADS, params=where(change), data=LARGE, headers=BINARY, timeout=TIMEOUT_SECONDS)
    assert made.status_code == 201, made.text
    known = made.json()["result"]
    with session.get(known["download_link"], stream=True, timeout=TIMEOUT_SECONDS) as answer:
        digest = hashlib.sha256()
        for piece in answer.iter_content(MEGABYTE):
            digest.update(piece)
    assert digest.hexdigest() == known["hash"] == hashlib.sha256(LARGE).hexdigest()
    assert peak_of(server) - before < MOST_GROWTH


def test_a_large_form_passes_through_little_memory(server: Running, session: requests.Session, change: str) -> None:
    # Built beforehand by the sender, which is not what is measured.
    content = form(change, LARGE) + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    forget_peaks(server)
    before = peak_of(server)
    made = session.post(server.url + FORMS, data=content, headers=headers, timeout=TIMEOUT_SECONDS)
    assert made.status_code == 201, made.text
    assert made.json()["result"]["hash"] == hashlib.sha256(LARGE).hexdigest()
    assert peak_of(server) - before < MOST_GROWTH


@contextmanager
def begun_upload(server: Running, change: str, headers: list[str], body: bytes) -> Iterator[None]:
    """Send the beginning of an upload, and hang up at the end of the block."""
    address = urlsplit(server.url)
    path = FORMS if "multipart" in headers[0] else UPLOADS
    request = f"POST {path}?{urlencode(where(change))} HTTP/1.1"
    lines = [request, f"Host: {address.netloc}", f"Authorization: {ADMIN['Authorization']}", *headers, "", ""]
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=TIMEOUT_SECONDS) as line:
        line.sendall("\r\n".join(lines).encode() + body)
        time.sleep(0.2)
        yield


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def form(change: str, content: bytes) -> bytes:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in where(change).items()]
    return ("".join(parts) + '--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n').encode() + content


RAW, FORM = "Content-Type: image/png", "Content-Type: multipart/form-data; boundary=x"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize("kind", [RAW, FORM], ids=["file", "form"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["of known length", "in chunks"])
def test_a_sender_who_dies_half_way_leaves_nothing(
    server: Running, session: requests.Session, change: str, kind: str, is_chunked: bool
) -> None:
    half = LARGE[: 3 * MEGABYTE]
    body = form(change, half) if kind == FORM else half
    before = count_rows(server)
    length = CHUNKED if is_chunked else f"Content-Length: {2 * len(body)}"
    with begun_upload(server, change, [kind, length], chunk(body) if is_chunked else body):
        assert count_rows(server) == before
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        assert count_rows(server) == before
        time.sleep(0.05)
    of_change = {"table_sys_id": change}
    listed = session.get(f"{server.url}{ATTACHMENTS}", params=of_change, timeout=TIMEOUT_SECONDS)
    assert listed.json()["result"] == []


def test_a_slow_upload_does_not_delay_other_callers(server: Running, session: requests.Session, change: str) -> None:
    """A body that trickles in holds no lock: changes are written meanwhile, its own record too."""
    with begun_upload(server, change, [RAW, "Content-Length: 9999"], b"x"):
        record = f"{server.url}{CHANGES}/{change}"
        changed = session.patch(record, json={"short_description": "meanwhile"}, timeout=TIMEOUT_SECONDS)
        assert changed.status_code == 200
        assert session.delete(record, timeout=TIMEOUT_SECONDS).status_code == 204


def test_a_file_whose_record_goes_while_it_comes_is_refused(
    server: Running, session: requests.Session, change: str
) -> None:
    def body() -> Iterator[bytes]:
        yield b"first half, "
        gone = session.delete(f"{server.url}{CHANGES}/{change}", timeout=TIMEOUT_SECONDS)
        assert gone.status_code == 204
        yield b"second half"

    before = count_rows(server)
    request = requests.Request("POST", server.url + UPLOADS, params=where(change), auth=session.auth).prepare()
    request.headers.update({**BINARY, "Content-Length": "23"})
    request.body = body()
    with requests.Session() as other:
        answer = other.send(request, timeout=TIMEOUT_SECONDS)
    assert answer.status_code == 404
    assert count_rows(server) == before


def test_too_large_a_file_is_refused_in_the_envelope(server: Running, session: requests.Session, change: str) -> None:
    before = count_rows(server)
    sent = {"params": where(change), "headers": BINARY, "timeout": TIMEOUT_SECONDS}
    answer = session.post(server.url + UPLOADS, data=LARGE + LARGE, **sent)
    assert answer.status_code == 400
    assert "Rejected large REST payload" in answer.json()["error"]["detail"]
    assert count_rows(server) == before


def test_a_download_is_short_when_the_file_goes_meanwhile(
    server: Running, session: requests.Session, change: str
) -> None:
    """A reader must not take what is left of a file for the whole."""
    sent = {"params": where(change), "headers": BINARY, "timeout": TIMEOUT_SECONDS}
    known = session.post(server.url + UPLOADS, data=LARGE, **sent).json()["result"]
    with requests.get(known["download_link"], auth=session.auth, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        assert len(next(answer.iter_content(1000))) == 1000
        gone = session.delete(f"{server.url}{ATTACHMENTS}/{known['sys_id']}", timeout=TIMEOUT_SECONDS)
        assert gone.status_code == 204
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018 - reading it is the test
    alive = session.get(f"{server.url}{ATTACHMENTS}", timeout=TIMEOUT_SECONDS)
    assert alive.status_code == 200
