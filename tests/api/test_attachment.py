"""The Attachment API: files come, are found, are read and go (docs/reference/other-apis.md#attachment)."""

import hashlib
import json
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from changegate.extensions import db
from changegate.models import SysAttachment, SysAttachmentDoc, SysUser
from changegate.services.attachments.writing import CHUNK_BYTES
from changegate.services.users.accounts import create_user
from tests.conftest import ADMIN_PASSWORD, BASE_URL, basic
from tests.support.attachment_api import ATTACHMENTS, CHANGE, AttachmentApi
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

NOBODYS = "0" * 32
LARGE = bytes(range(256)) * (CHUNK_BYTES // 128) + b"the rest"


@pytest.fixture
def api(either_app: Flask) -> AttachmentApi:
    with either_app.app_context():
        from_settings = either_app.config["SETTINGS"].admin_password
    return AttachmentApi(either_app.test_client(), basic("admin", from_settings or ADMIN_PASSWORD))


@pytest.fixture
def change(api: AttachmentApi) -> str:
    return api.change(short_description="Deploy")


def count(app: Flask, model: type[Any]) -> int:
    with app.app_context():
        return int(db.session.execute(select(func.count()).select_from(model)).scalar_one())


def test_an_upload_answers_the_metadata_of_the_file(api: AttachmentApi, change: str) -> None:
    response = api.upload(change, b"line\n", "deploy.log")
    known = result_of(response)
    assert response.status_code == 201
    assert response.headers["Location"] == f"{BASE_URL}{ATTACHMENTS}/{known['sys_id']}/file"
    assert re.fullmatch("[0-9a-f]{32}", known.pop("sys_id"))
    assert known.pop("sys_created_on") == known.pop("sys_updated_on")
    assert known == {
        "file_name": "deploy.log",
        "content_type": "text/plain",
        "size_bytes": "5",
        "size_compressed": "5",
        "compressed": "false",
        "hash": hashlib.sha256(b"line\n").hexdigest(),
        "chunk_size_bytes": str(CHUNK_BYTES),
        "state": "available",
        "table_name": "change_request",
        "table_sys_id": change,
        "image_height": "",
        "image_width": "",
        "average_image_color": "",
        "encryption_context": "",
        "download_link": response.headers["Location"],
        "sys_created_by": "admin",
        "sys_updated_by": "admin",
        "created_by_name": "System Administrator",
        "updated_by_name": "System Administrator",
        "sys_mod_count": "0",
        "sys_tags": "",
    }


def test_the_response_to_an_upload_equals_the_stored_record(api: AttachmentApi, change: str) -> None:
    known = api.uploaded(change)
    assert result_of(api.get(known["sys_id"])) == known
    assert result_of(api.page()) == [known]
    assert json.loads(api.file(known["sys_id"]).headers["X-Attachment-Metadata"]) == known


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_the_location_names_the_version_that_was_called(app: Flask, admin: dict[str, str], version: str) -> None:
    api = AttachmentApi(app.test_client(), admin, f"/api/now{version}/attachment")
    response = api.upload(api.change())
    sys_id = result_of(response)["sys_id"]
    assert response.headers["Location"] == f"{BASE_URL}/api/now{version}/attachment/{sys_id}/file"
    assert result_of(response)["download_link"] == f"{BASE_URL}/api/now/attachment/{sys_id}/file"
    assert api.file(sys_id).data == b"log"


@pytest.mark.parametrize(
    "content",
    [b"", b"x", LARGE[:CHUNK_BYTES], LARGE[: CHUNK_BYTES + 1], LARGE],
    ids=["empty", "one", "a piece", "more", "several"],
)
def test_bytes_come_back_as_they_were_sent(api: AttachmentApi, change: str, content: bytes) -> None:
    known = api.uploaded(change, content)
    response = api.file(known["sys_id"])
    assert response.data == content
    assert response.headers["Content-Length"] == known["size_bytes"] == str(len(content))
    assert known["hash"] == hashlib.sha256(content).hexdigest()


def test_a_download_is_saved_and_never_shown(api: AttachmentApi, change: str) -> None:
    page = b"<!DOCTYPE html><script>alert(document.cookie)</script>"
    known = api.uploaded(change, page, "page.html")
    headers = api.file(known["sys_id"], Accept="text/html").headers
    assert headers["Content-Type"] == known["content_type"] == "text/plain"
    assert headers["Content-Disposition"] == "attachment; filename=page.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ('a"b;c.txt', 'attachment; filename="a\\"b;c.txt"'),
        ("Änderung.txt", "attachment; filename=Anderung.txt; filename*=UTF-8''%C3%84nderung.txt"),
        ("変更", "attachment; filename=file; filename*=UTF-8''%E5%A4%89%E6%9B%B4"),
        (
            "‥\uff0f‥\uff0fa℀",
            "attachment; filename=.._.._aa_c; filename*=UTF-8''%E2%80%A5%EF%BC%8F%E2%80%A5%EF%BC%8Fa%E2%84%80",
        ),
        ("‥", "attachment; filename=file; filename*=UTF-8''%E2%80%A5"),
    ],
)
def test_a_name_is_encoded_in_headers_as_ascii(api: AttachmentApi, change: str, name: str, disposition: str) -> None:
    known = api.uploaded(change, name=name)
    headers = api.file(known["sys_id"]).headers
    assert headers["Content-Disposition"] == disposition
    assert headers["X-Attachment-Metadata"].isascii()
    assert json.loads(headers["X-Attachment-Metadata"])["file_name"] == name


@pytest.mark.parametrize("accept", ["application/json", "*/*", "image/png", "application/xml", "nonsense"])
def test_a_file_is_served_whatever_the_caller_takes(app: Flask, admin: dict[str, str], accept: str) -> None:
    api = AttachmentApi(app.test_client(), admin)
    known = api.uploaded(api.change())
    response = api.file(known["sys_id"], Accept=accept)
    assert (response.status_code, response.data) == (200, b"log")


def test_head_answers_all_of_a_file_but_its_bytes(api: AttachmentApi, change: str) -> None:
    sys_id = api.uploaded(change)["sys_id"]
    got, headed = api.file(sys_id), api.file(sys_id, "HEAD")
    assert (headed.status_code, headed.data) == (200, b"")
    assert dict(headed.headers) == dict(got.headers)


def test_metadata_of_files_is_available_as_xml_too(api: AttachmentApi, change: str) -> None:
    api.uploaded(change)
    api.headers["Accept"] = "application/xml"
    response = api.page()
    assert response.mimetype == "application/xml"
    assert "<file_name>deploy.log</file_name>" in response.text


def test_two_files_of_one_name_are_two(api: AttachmentApi, change: str) -> None:
    first, second = api.uploaded(change, b"1"), api.uploaded(change, b"2")
    assert api.names() == ["deploy.log", "deploy.log"]
    assert (api.file(first["sys_id"]).data, api.file(second["sys_id"]).data) == (b"1", b"2")


def test_a_file_is_renamed_and_counted(api: AttachmentApi, change: str) -> None:
    known = api.uploaded(change)
    response = api.rename(known["sys_id"], {"file_name": " plan.txt ", "table_sys_id": NOBODYS, "hash": "x"})
    assert (response.status_code, response.data) == (204, b"")
    renamed = result_of(api.get(known["sys_id"]))
    assert renamed == known | {"file_name": "plan.txt", "sys_mod_count": "1"} | {
        "sys_updated_on": renamed["sys_updated_on"]
    }


def test_a_deleted_file_leaves_nothing(api: AttachmentApi, change: str, either_app: Flask) -> None:
    gone, kept = api.uploaded(change, LARGE)["sys_id"], api.uploaded(change, b"kept")["sys_id"]
    response = api.delete(gone)
    assert (response.status_code, response.data) == (204, b"")
    for answer in (api.get(gone), api.file(gone), api.delete(gone), api.rename(gone, {"file_name": "x"})):
        assert answer.status_code == 404
        assert error_of(answer)[0] == "No Record found"
    assert api.file(kept).data == b"kept"
    assert (count(either_app, SysAttachment), count(either_app, SysAttachmentDoc)) == (1, 1)


def test_files_go_with_their_record(api: AttachmentApi, change: str, either_app: Flask) -> None:
    other = api.change()
    api.uploaded(change, LARGE)
    api.uploaded(other, b"kept")
    assert TableApi(api.client, api.headers, CHANGES).delete(change).status_code == 204
    assert [record["table_sys_id"] for record in result_of(api.page())] == [other]
    assert count(either_app, SysAttachmentDoc) == 1


def test_a_file_attached_to_a_task_belongs_to_the_class_of_the_task(api: AttachmentApi, change: str) -> None:
    assert api.uploaded(change, table="task")["table_name"] == CHANGE


def test_a_file_has_the_display_names_of_its_authors(api: AttachmentApi, change: str, either_app: Flask) -> None:
    passwords = {"maria": "maria maria maria", "leo": "leo leo leo leo"}
    with either_app.app_context():
        for user_name, password in passwords.items():
            create_user(user_name=user_name, password=password, email=None, name=user_name.title(), roles=["itil"])
        db.session.commit()
    maria, leo = (AttachmentApi(api.client, basic(user_name, password)) for user_name, password in passwords.items())
    sys_id = maria.uploaded(change)["sys_id"]
    leo.rename(sys_id, {"file_name": "plan.txt"})
    [known] = result_of(api.page(sysparm_query="ORDERBYDESCfile_name"))
    assert (known["created_by_name"], known["updated_by_name"]) == ("Maria", "Leo")
    with either_app.app_context():
        db.session.execute(delete(SysUser).where(SysUser.user_name == "maria"))
        db.session.commit()
    known = result_of(api.get(sys_id))
    assert (known["created_by_name"], known["updated_by_name"]) == ("maria", "Leo")


def test_a_list_is_narrowed_by_an_encoded_query(api: AttachmentApi, change: str) -> None:
    other = api.change()
    for record, name in ((change, "a.txt"), (change, "b.txt"), (other, "a.txt")):
        api.uploaded(record, name=name)
    of_record = f"table_name=change_request^table_sys_id={change}"
    assert api.names(sysparm_query=f"{of_record}^ORDERBYDESCfile_name") == ["b.txt", "a.txt"]
    assert api.names(sysparm_query=f"{of_record}^file_name=a.txt") == ["a.txt"]
    assert api.names(sysparm_query=f"table_sys_id={change}^table_name=incident") == []
    assert len(api.names(sysparm_query="file_nameSTARTSWITHa")) == 2


def test_a_list_is_narrowed_by_fields(api: AttachmentApi, change: str) -> None:
    other = api.change()
    api.uploaded(change, name="a.txt")
    api.uploaded(other, name="b.txt")
    response = api.page(table_name=CHANGE, table_sys_id=change, sysparm_limit=10000, sysparm_offset=0)
    assert [record["file_name"] for record in result_of(response)] == ["a.txt"]
    assert response.headers["X-Total-Count"] == "1"
    assert api.names(file_name="b.txt", sysparm_query=f"table_sys_id={other}") == ["b.txt"]
    assert api.names(table_sys_id=change, sysparm_query=f"table_sys_id={other}^NQfile_name=b.txt") == []


@pytest.mark.parametrize("value", ["{'display_value': 'CHG0000001', 'value': 'c7a9'}", "x" * 33, "a\0b", "' OR 1=1 --"])
def test_a_list_for_an_invalid_sys_id_is_empty(api: AttachmentApi, change: str, value: str) -> None:
    api.uploaded(change)
    response = api.page(table_name=CHANGE, table_sys_id=value)
    assert (response.status_code, result_of(response)) == (200, [])
    assert response.headers["X-Total-Count"] == "0"


def test_a_list_comes_in_pages(api: AttachmentApi, change: str) -> None:
    for number in range(5):
        api.uploaded(change, name=f"{number}.txt")
    by_name = {"sysparm_query": "ORDERBYfile_name"}
    response = api.page(**by_name, sysparm_limit=2, sysparm_offset=2)
    assert [record["file_name"] for record in result_of(response)] == ["2.txt", "3.txt"]
    assert response.headers["X-Total-Count"] == "5"
    beyond = api.page(**by_name, sysparm_offset=5)
    assert (result_of(beyond), beyond.headers["X-Total-Count"]) == ([], "5")
    absurd = api.page(sysparm_limit="9" * 19, sysparm_offset=-1)
    assert (absurd.status_code, len(result_of(absurd))) == (200, 5)


def test_the_parameters_of_other_apis_change_nothing(api: AttachmentApi, change: str) -> None:
    known = api.uploaded(
        change,
        content_type="text/html",
        hash="x",
        creation_time="2020-01-01 00:00:00",
        sysparm_display_value="all",
        sysparm_limit=10000,
        sysparm_query="",
    )
    assert known["content_type"] == "text/plain"
    assert known["hash"] == hashlib.sha256(b"log").hexdigest()
    assert not known["sys_created_on"].startswith("2020")
    listed = api.page(sysparm_display_value="all", sysparm_fields="x", sysparm_exclude_reference_link="true", foo="bar")
    assert result_of(listed) == [known]


def test_an_encryption_context_is_kept(api: AttachmentApi, change: str) -> None:
    assert api.uploaded(change, encryption_context=NOBODYS)["encryption_context"] == NOBODYS
