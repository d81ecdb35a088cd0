"""One request never takes more of the server than it can spare."""

import itertools

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from changegate.api import batch, subrequests
from changegate.database import connection
from changegate.services.attachments import reading
from tests.support.table_api import CHANGES, TableApi, error_of

BATCH = "/api/now/v1/batch"
STATS = "/api/now/stats/change_request"
MEGABYTE = 1024 * 1024


def test_a_batch_reads_no_more_of_a_file_than_it_may_answer(api: TableApi, monkeypatch: pytest.MonkeyPatch) -> None:
    change = api.created()["sys_id"]
    path = f"/api/now/attachment/file?table_name=change_request&table_sys_id={change}&file_name=a.bin"
    stored = api.client.post(path, data=b"x" * 4 * MEGABYTE, content_type="text/plain", headers=api.headers)
    read: list[int] = []
    pieces = reading._pieces

    def counted(*args: object) -> object:
        for piece in pieces(*args):  # type: ignore[arg-type]
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(reading, "_pieces", counted)
    monkeypatch.setattr(subrequests, "MAX_OUTPUT_BYTES", MEGABYTE)
    link = stored.headers["Location"].partition(".com")[2]
    wanted = [{"id": "1", "method": "GET", "url": link}]
    answer = api.client.post(BATCH, json={"rest_requests": wanted}, headers=api.headers).get_json()

    assert answer["serviced_requests"][0]["status_code"] == 400
    assert read == [MEGABYTE, MEGABYTE]


def test_the_number_of_requests_in_a_batch_is_limited(api: TableApi) -> None:
    def listing(count: int) -> bytes:
        return orjson.dumps({"rest_requests": [{"id": "1"}] * count})

    assert api.client.post(BATCH, data=listing(batch.MAX_LISTED), headers=api.headers).status_code == 200
    refused = api.client.post(BATCH, data=listing(batch.MAX_LISTED + 1), headers=api.headers)
    assert refused.status_code == 400
    assert error_of(refused)[0] == "rest_requests: 10001 requests are more than the 10000 of a batch."


def test_a_page_is_limited_and_links_to_the_next(api: TableApi) -> None:
    for path in (CHANGES, "/api/now/table/sys_dictionary"):
        answer = api.client.get(f"{path}?sysparm_limit=1000000000&sysparm_offset=1", headers=api.headers)
        assert answer.status_code == 200
        assert "sysparm_limit=10000&" in answer.headers["Link"]


@pytest.mark.parametrize("parameter", ["sysparm_having", "sysparm_order_by"])
@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 400), (4000, 400)])
def test_statistics_are_bounded(api: TableApi, parameter: str, count: int, status: int) -> None:
    items = ",".join(f"count^state^>^{-number}" for number in range(count))
    answer = api.client.get(f"{STATS}?sysparm_group_by=state&{parameter}={items}", headers=api.headers)

    assert answer.status_code == status, answer.text
    if status == 400:
        assert error_of(answer)[0] == f"{parameter}: {count} items are more than 100."


@pytest.mark.parametrize("encoding", ["unicode_escape", "utf-7", "cp037", "idna", "rot13", "x" * 1000])
def test_no_codec_is_looked_for_by_the_name_that_xml_gives_it(api: TableApi, encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><request><entry/></request>'
    answer = api.client.post(CHANGES, data=document, content_type="application/xml", headers=api.headers)

    assert answer.status_code == 400
    assert f"encoding {encoding[:40]} is not read" in (error_of(answer)[1] or "")


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "ISO-8859-1", "us-ascii"])
def test_the_usual_encodings_of_xml_are_read(api: TableApi, encoding: str) -> None:
    record = "<short_description>ok</short_description>"
    document = f'<?xml version="1.0" encoding="{encoding}"?><request><entry>{record}</entry></request>'
    answer = api.client.post(
        CHANGES, data=document.encode(encoding), content_type="application/xml", headers=api.headers
    )

    assert answer.get_json()["result"]["short_description"] == "ok"


def _spellings(name: str, count: int) -> str:
    both = ((letter, letter.upper()) for letter in name)
    return ",".join("".join(letters) for letters in itertools.islice(itertools.product(*both), count))


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_write_whose_answer_is_refused_has_written_nothing(api: TableApi, method: str) -> None:
    change = api.created(description="before")
    path = CHANGES if method == "POST" else f"{CHANGES}/{change['sys_id']}"
    sent, asked = {"description": "after", "work_notes": "noted"}, {"sysparm_fields": _spellings("description", 1001)}

    answer = api.client.open(path, method=method, json=sent, query_string=asked, headers=api.headers)

    assert (answer.status_code, error_of(answer)[1]) == (400, "More than 1000 fields are asked for")
    assert api.found("", "description") == ["before"]
    entries = TableApi(api.client, api.headers, "/api/now/table/sys_journal_field")
    assert entries.page().headers["X-Total-Count"] == "0"


TOO_WIDE = f"SELECT {','.join(['1'] * 3000)}"
TOO_DEEP = f"SELECT {'NOT (' * 2000}1 = 1{')' * 2000}"


def test_a_query_that_walks_too_often_is_refused_and_not_put_off(client: FlaskClient, admin: dict[str, str]) -> None:
    walked = "^".join(f"assigned_to.manager.manager.manager.manager=x{at}" for at in range(2300))
    asked = {"sysparm_query": walked, "sysparm_fields": "number", "sysparm_limit": "1"}
    answer = client.get("/api/now/table/change_request", query_string=asked, headers=admin)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("fixture", "statement"), [("app", TOO_WIDE), ("app", TOO_DEEP), ("postgres_app", TOO_WIDE)], ids=range(3)
)
def test_values_that_a_database_cannot_store_are_refused_at_once(
    request: pytest.FixtureRequest, fixture: str, statement: str
) -> None:
    app: Flask = request.getfixturevalue(fixture)

    @app.get("/api/now/beyond")
    def beyond() -> str:
        return str(connection().execute(text(statement)).all())

    answer = app.test_client().get("/api/now/beyond")

    assert answer.status_code == 400
    assert error_of(answer)[1] == "The request exceeds a limit of the database; request less at once"
