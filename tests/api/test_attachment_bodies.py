"""What an upload may be made of, and what is refused without leaving anything behind."""

import errno
import tempfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from changegate.api.whole_body import WHOLE_BODY
from changegate.extensions import db
from changegate.models import SysAttachment, SysAttachmentDoc
from tests.support.attachment_api import ATTACHMENTS, CHANGE, AttachmentApi
from tests.support.table_api import error_of, result_of

MOST = 1000
NOBODYS = "0" * 32
FORM = "multipart/form-data; boundary=x"


@pytest.fixture
def settings() -> dict[str, str]:
    return {"attachment_max_bytes": str(MOST)}


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> AttachmentApi:
    return AttachmentApi(client, admin)


@pytest.fixture
def change(api: AttachmentApi) -> str:
    return api.change()


@pytest.fixture(autouse=True)
def nothing_is_left_of_what_was_refused(app: Flask) -> Any:
    """Count files and pieces of files after each test: there are as many as were answered with 201."""
    created = []

    def watch(response: Any) -> Any:
        created.extend([response] if response.status_code == 201 and "/attachment" in str(response.location) else [])
        return response

    app.after_request(watch)
    yield
    with app.app_context():
        counts = [
            db.session.execute(select(func.count()).select_from(model)).scalar_one()
            for model in (SysAttachment, SysAttachmentDoc)
        ]
    assert counts == [len(created), len(created)]


Post = Callable[..., TestResponse]


@pytest.fixture
def post(api: AttachmentApi, change: str) -> Post:
    """Post a body as it is, with headers; one given as `...` is left out."""

    def send(body: bytes, path: str = "file", **headers: Any) -> TestResponse:
        environ = {key: value for key, value in headers.items() if value is not ...}
        query = {"table_name": CHANGE, "table_sys_id": change, "file_name": "a.txt"}
        # `changegate serve` says that the body has come to its end; other servers get no chunks past the app.
        usual = {
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input_terminated": True,
            WHOLE_BODY: True,
        } | environ
        left_out = [key for key, value in headers.items() if value is ...]
        return api.client.post(
            f"{ATTACHMENTS}/{path}",
            query_string=query,
            input_stream=BytesIO(body),
            headers=api.headers,
            environ_overrides={key: value for key, value in usual.items() if key not in left_out},
        )

    return send


def form_of(change: str, content: bytes = b"log", *, file_header: str = 'name="uploadFile"; filename="a.txt"') -> bytes:
    texts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("table_name", CHANGE), ("table_sys_id", change))
    )
    head = f"{texts}--x\r\nContent-Disposition: form-data; {file_header}\r\nContent-Type: text/html\r\n\r\n"
    return head.encode() + content + b"\r\n--x--\r\n"


@pytest.mark.parametrize("name", ["table_name", "table_sys_id", "file_name"])
@pytest.mark.parametrize("value", ["", ...])
def test_a_missing_parameter_is_named(api: AttachmentApi, change: str, name: str, value: Any) -> None:
    response = api.upload(change, **{name: value})
    assert response.status_code == 400
    assert error_of(response)[0] == f"{name}: A value is expected."


@pytest.mark.parametrize("table", ["nonsense", "sys_attachment", "change_request; DROP TABLE task", "x" * 81, "a\0b"])
def test_an_unknown_table_is_refused(api: AttachmentApi, change: str, table: str) -> None:
    response = api.upload(change, table=table)
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("record", [NOBODYS, "x", "a\0b", "\ud800".encode("utf-8", "surrogatepass"), "' OR 1=1 --"])
def test_a_missing_record_is_not_found(api: AttachmentApi, record: Any) -> None:
    assert api.upload(record).status_code == 404


@pytest.mark.parametrize("name", ["../x", "a\0b", "x\r\nSet-Cookie: a=b", "a\u202eb", "x" * 256, " "])
def test_a_bad_name_is_refused_everywhere(api: AttachmentApi, change: str, name: str) -> None:
    refused = [api.upload(change, name=name)]
    sys_id = api.uploaded(change)["sys_id"]
    refused.append(api.rename(sys_id, {"file_name": name}))
    for response in refused:
        assert response.status_code == 400
        assert str(error_of(response)[1]).startswith("Field file_name: ")
    assert result_of(api.get(sys_id))["file_name"] == "deploy.log"


@pytest.mark.parametrize("body", [{}, {"file_name": None}, {"file_name": 1}, {"file_name": ["a"]}, {"name": "a"}])
def test_a_renaming_without_a_name_is_refused(api: AttachmentApi, change: str, body: Any) -> None:
    response = api.rename(api.uploaded(change)["sys_id"], body)
    assert (response.status_code, error_of(response)[1]) == (400, "Field file_name: a string is expected")


def test_a_file_of_the_largest_size_is_taken_and_no_larger_one(post: Post, api: AttachmentApi, change: str) -> None:
    assert post(b"x" * MOST).status_code == 201
    response = post(b"x" * (MOST + 1))
    assert response.status_code == 400
    assert error_of(response)[1] == (
        "Rejected large REST payload with content-length = 1001 bytes. Max allowed: 1000 bytes."
    )
    assert api.send_form(("file", "a", b"x" * MOST), table_name=CHANGE, table_sys_id=change).status_code == 201
    response = api.send_form(("file", "a", b"x" * (MOST + 1)), table_name=CHANGE, table_sys_id=change)
    assert (response.status_code, "Rejected large" in str(error_of(response)[1])) == (400, True)
    response = api.send_form(("file", "a", b"x" * 100 * MOST), table_name=CHANGE, table_sys_id=change)
    assert (response.status_code, "Rejected large" in str(error_of(response)[1])) == (400, True)


def test_half_a_file_is_refused(post: Post) -> None:
    response = post(b"half", CONTENT_LENGTH="8")
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_file_for_which_the_server_has_no_room_is_refused_for_now(
    post: Post, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def write(*_: Any) -> None:
        raise OSError(number, "the disk is full, or too many files are open")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", write)
    response = post(b"log")
    assert (response.status_code, error_of(response)[0]) == (503, "Service unavailable")
    assert response.headers["Retry-After"]
    assert response.headers["X-Request-Id"] in str(error_of(response)[1])


def test_a_file_of_unknown_length_is_refused(post: Post) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
    response = post(b"log", CONTENT_LENGTH=..., **chunked)
    assert (response.status_code, error_of(response)[0]) == (411, "Length required")


def test_an_http_2_upload_without_content_length_is_refused(app: Flask, admin: dict[str, str], change: str) -> None:
    query = {"table_name": CHANGE, "table_sys_id": change, "file_name": "a.txt"}
    builder = EnvironBuilder(path=f"{ATTACHMENTS}/file", method="POST", query_string=query, data=b"log", headers=admin)
    environ = builder.get_environ() | {"CONTENT_TYPE": "text/plain", "wsgi.input_terminated": True, WHOLE_BODY: True}
    del environ["CONTENT_LENGTH"]
    _, status, _ = run_wsgi_app(app, environ)
    assert status.startswith("411 ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"CONTENT_TYPE": ""}, 400),
        ({"CONTENT_TYPE": "multipart/form-data"}, 400),
        ({"CONTENT_TYPE": FORM}, 400),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, 415),
        ({"HTTP_ACCEPT": "image/png"}, 406),
    ],
)
def test_a_body_that_is_not_a_file_is_refused(post: Post, headers: dict[str, str], status: int) -> None:
    response = post(b"log", **headers)
    assert response.status_code == status
    error_of(response)


@pytest.mark.parametrize("part", ["uploadFile", "file", "anything"])
def test_a_form_brings_a_file(api: AttachmentApi, change: str, part: str) -> None:
    response = api.send_form((part, "/logs/deploy.log", b"log"), table_name=CHANGE, table_sys_id=change)
    assert response.status_code == 201
    known = result_of(response)
    assert (known["file_name"], known["content_type"], known["size_bytes"]) == ("deploy.log", "text/plain", "3")
    assert api.file(known["sys_id"]).data == b"log"


def test_a_form_in_chunks_brings_a_file(post: Post, change: str) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked"}
    response = post(form_of(change), "upload", CONTENT_TYPE=FORM, CONTENT_LENGTH=..., **chunked)
    assert response.status_code == 201
    response = post(form_of(change, b"x" * 100 * MOST), "upload", CONTENT_TYPE=FORM, CONTENT_LENGTH=..., **chunked)
    assert (response.status_code, "Rejected large" in str(error_of(response)[1])) == (400, True)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("cut", [1, 3, 8, 20, 100, 200])
def test_half_a_form_is_refused(post: Post, change: str, cut: int, is_chunked: bool) -> None:
    whole = form_of(change)
    headers: dict[str, Any] = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(len(whole))}
    if is_chunked:
        headers |= {"CONTENT_LENGTH": ..., "HTTP_TRANSFER_ENCODING": "chunked"}
    response = post(whole[: -cut - 4], "upload", **headers)
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain", ""])
def test_other_content_types_are_refused(post: Post, change: str, content_type: str) -> None:
    response = post(form_of(change), "upload", CONTENT_TYPE=content_type)
    assert (response.status_code, error_of(response)[0]) == (400, "Unsupported media type")


def test_a_form_brings_one_file_and_no_other_number(api: AttachmentApi, change: str) -> None:
    where = {"table_name": CHANGE, "table_sys_id": change}
    for files in ([], [("a", "a", b"a"), ("b", "b", b"b")], [("a", "a", b"a"), ("a", "b", b"b")]):
        response = api.client.post(
            f"{ATTACHMENTS}/upload",
            data={**where, **{part: [(BytesIO(c), n) for p, n, c in files if p == part] for part, *_ in files}},
            headers=api.headers,
            content_type="multipart/form-data",
        )
        assert response.status_code == 400
        assert error_of(response)[1] == f"One file is expected, and {len(files)} came"


@pytest.mark.parametrize("missing", ["table_name", "table_sys_id"])
def test_a_form_without_a_text_is_refused(api: AttachmentApi, change: str, missing: str) -> None:
    texts = {"table_name": CHANGE, "table_sys_id": change}
    del texts[missing]
    response = api.send_form(("file", "a.txt", b"log"), **texts)
    assert (response.status_code, error_of(response)[0]) == (400, f"{missing}: A value is expected.")


@pytest.mark.parametrize("header", ['name="f"; filename=""', 'name="f"; filename="a/.."', 'name="f"; filename="/"'])
def test_a_form_whose_file_has_no_name_is_refused(post: Post, change: str, header: str) -> None:
    response = post(form_of(change, file_header=header), "upload", CONTENT_TYPE=FORM)
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("path", [f"{ATTACHMENTS}/file", f"{ATTACHMENTS}/upload"])
def test_names_of_uploads_are_names_of_no_files(api: AttachmentApi, path: str) -> None:
    assert api.client.get(path, headers=api.headers).status_code == 404


@pytest.mark.parametrize("sys_id", [NOBODYS, "x", "%00", "%ff", "a%0d%0ab", "a%20b"])
@pytest.mark.parametrize("suffix", ["", "/file"])
def test_an_unknown_file_is_not_found(api: AttachmentApi, sys_id: str, suffix: str) -> None:
    response = api.client.get(f"{ATTACHMENTS}/{sys_id}{suffix}", headers=api.headers)
    assert response.status_code == 404
    assert "result" not in response.get_json()
