"""Records as XML, out and in: docs/reference/table-api.md#values; what comes in is untrusted."""

import encodings
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from changegate.api.xml_records import MAX_ELEMENTS, parse_xml, render_xml
from changegate.errors import RequestUnreadable
from tests.support.people import ADMIN
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

TYPE = "application/xml;charset=UTF-8"
XML = {"Accept": "application/xml"}
UNREADABLE = "Exception while reading request"


@pytest.fixture
def xml_api(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin | XML)


def document(response: TestResponse) -> ET.Element:
    assert response.content_type == TYPE
    assert response.data.startswith(b'<?xml version="1.0" encoding="UTF-8"?><response')
    return ET.fromstring(response.data)


def send(api: TableApi, body: str | bytes, kind: str = "application/xml") -> TestResponse:
    return api.client.post(CHANGES, data=body, content_type=kind, headers=api.headers)


def test_answers_a_record_with_an_element_for_each_field(api: TableApi, xml_api: TableApi) -> None:
    made = api.created(short_description="<a> & \u00e9\r\n]]>", requested_by="admin")
    [record] = document(xml_api.get(made["sys_id"]))
    assert record.tag == "result"
    assert {field.tag for field in record} == made.keys()
    assert record.findtext("short_description") == made["short_description"]
    assert record.findtext("requested_by/value") == ADMIN
    assert record.findtext("requested_by/link") == made["requested_by"]["link"]
    assert record.findtext("assigned_to") == ""


def test_answers_a_list_with_a_result_for_each_record(api: TableApi, xml_api: TableApi) -> None:
    assert len(document(xml_api.page())) == 0
    numbers = [api.created()["number"] for _ in range(2)]
    response = xml_api.page(fields="number,requested_by.user_name", display_value="all", query="ORDERBYnumber")
    assert response.headers["X-Total-Count"] == "2"
    assert [record.findtext("number/value") for record in document(response)] == numbers


def test_answers_writes_and_refusals_alike(xml_api: TableApi) -> None:
    made = xml_api.create({"short_description": "x"})
    assert made.status_code == 201
    sys_id = document(made).findtext("result/sys_id")
    assert made.headers["Location"].endswith(f"/{sys_id}")
    refused = xml_api.get("0" * 32)
    assert refused.status_code == 404
    assert document(refused).findtext("error/message") == "No Record found"
    assert document(refused).findtext("status") == "failure"
    unknown = xml_api.client.get("/api/now/table/a%01%3Cb%3E", headers=xml_api.headers)
    assert document(unknown).findtext("error/message") == "Invalid table a\ufffd<b>"
    assert document(unknown).findtext("error/detail") == ""
    assert document(xml_api.client.get(CHANGES, headers=XML)).findtext("error/message") == "User Not Authenticated"


@pytest.mark.parametrize(
    "accept",
    [
        "application/xml",
        "APPLICATION/XML;charset=utf-8",
        "text/xml",
        "application/json;q=0.5, application/xml",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json;q=0, */*",
    ],
)
def test_answers_in_xml_if_the_caller_prefers_it(api: TableApi, accept: str) -> None:
    assert api.client.get(CHANGES, headers=api.headers | {"Accept": accept}).content_type == TYPE


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "Application/XML; charset=UTF-8"])
@pytest.mark.parametrize(
    "body",
    [
        "<request><entry><short_description>x</short_description><priority>2</priority></entry></request>",
        "<response><result><short_description>x</short_description><priority>2</priority></result></response>",
        "<change_request><short_description>x</short_description><priority>2</priority></change_request>",
        "<request><short_description>x</short_description><priority>2</priority></request>",
        "<?xml version='1.0'?>\n<!-- a --><r>\n <short_description><![CDATA[x]]></short_description>\n"
        " <?go on?><priority a='b'>2</priority>\n <nonsense>1</nonsense>\n</r>",
        "<request><entry><short_description>x</short_description><priority>2</priority></entry>"
        "<entry><short_description>y</short_description></entry></request>",
    ],
)
def test_creates_from_every_layout_that_is_in_use(api: TableApi, body: str, kind: str) -> None:
    response = send(api, body, kind)
    assert response.status_code == 201
    record = result_of(response)
    assert (record["short_description"], record["priority"]) == ("x", "2")


def test_accepts_its_own_response_as_input(api: TableApi, xml_api: TableApi) -> None:
    made = api.created(short_description=" a < b\r\n&amp; ", requested_by="admin", description="\u00e9\U0001f600")
    sys_id = "e" * 32
    document_of_it = xml_api.get(made["sys_id"]).data.replace(made["sys_id"].encode(), sys_id.encode())
    again = result_of(send(api, document_of_it))
    assert again["sys_id"] == sys_id
    for name in ("short_description", "description", "requested_by"):
        assert again[name] == made[name]


def test_updates_and_clears_fields(api: TableApi) -> None:
    made = api.created(short_description="x", description="y")
    body = "<request><entry><description/><short_description>z</short_description></entry></request>"
    path = f"{CHANGES}/{made['sys_id']}"
    for method in ("PUT", "PATCH"):
        response = api.client.open(path, method=method, data=body, content_type="text/xml", headers=api.headers)
        assert response.status_code == 200
        assert (result_of(response)["description"], result_of(response)["short_description"]) == ("", "z")


@pytest.mark.parametrize("body", ["", "  ", "<request/>", "<request><entry/></request>", "<response>\n</response>"])
def test_takes_an_empty_document_for_a_record_of_defaults(api: TableApi, body: str) -> None:
    assert send(api, body).status_code == 201


HOSTILE = {
    "entities": '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r><a>&b;</a></r>',
    "external": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>',
    "dtd": '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r/>',
    "parameter": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><r/>',
    "plain": "<!DOCTYPE r><r/>",
    "laughs": "<!DOCTYPE r [<!ENTITY l0 'ha'>"
    + "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    + "]><r><a>&l9;</a></r>",
    "quadratic": f"<!DOCTYPE r [<!ENTITY x '{'x' * 50_000}'>]><r><a>{'&x;' * 50_000}</a></r>",
    "attribute": '<!DOCTYPE r [<!ATTLIST a b CDATA "x">]><r><a/></r>',
    "unparsed": '<!DOCTYPE r [<!NOTATION n SYSTEM "x"><!ENTITY u SYSTEM "file:///etc/hostname" NDATA n>]><r/>',
    "public": '<!DOCTYPE r PUBLIC "-//x//x" "http://127.0.0.1:1/x.dtd"><r/>',
    "late": f"<!--{'x' * 100_000}--><!DOCTYPE r><r/>",
    "in utf-16": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>'.encode("utf-16"),
}
BROKEN = {
    "undefined": "<r><a>&nothing;</a></r>",
    "unclosed": "<r><a>",
    "text": "nonsense",
    "json": '{"short_description": "x"}',
    "two roots": "<r/><r/>",
    "nul": "<r><a>\0</a></r>",
    "reference": "<r><a>&#0;</a></r>",
    "text only": "<r>text</r>",
    "text entry": "<request><entry>text</entry></request>",
    "encoding": "<?xml version='1.0' encoding='nonsense'?><r/>",
    "wide encoding": "<?xml version='1.0' encoding='utf-7'?><r/>",
    "bytes": b"<r><a>\xff\xfe</a></r>",
    "deep": "<a>" * 100_000,
    "nested": "<a><b><c><d><e/></d></c></b></a>",
    "many": f"<r>{'<a/>' * MAX_ELEMENTS}</r>",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_refuses_every_document_type(api: TableApi, body: str | bytes) -> None:
    response = send(api, body)
    assert response.status_code == 400
    assert error_of(response) == (UNREADABLE, "XML with a document type is refused")
    assert api.found("") == []


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_refuses_an_invalid_record_with_the_reason(api: TableApi, body: str | bytes) -> None:
    response = send(api, body)
    assert response.status_code == 400
    message, detail = error_of(response)
    assert message == UNREADABLE
    assert detail
    assert api.found("") == []


@pytest.mark.parametrize("encoding", ["utf-7", "no-such-encoding", "unicode_escape"])
@pytest.mark.parametrize("bytes_as", ["ascii", "utf-16"])
def test_looks_up_no_encoding_that_a_document_names(api: TableApi, encoding: str, bytes_as: str) -> None:
    """Python keeps each unknown name in memory for good, so that names could fill it."""
    known = {*encodings._cache}
    response = send(api, f"<?xml version='1.0' encoding='{encoding}'?><r/>".encode(bytes_as))
    assert response.status_code == 400
    assert error_of(response) == (UNREADABLE, f"XML in the encoding {encoding} is not read; UTF-8 is")
    assert {*encodings._cache} <= known | {"utf_16"}


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-16", "ISO-8859-1", "us-ascii"])
def test_reads_the_encoding_that_a_document_names(encoding: str) -> None:
    document = f"<?xml version='1.0' encoding='{encoding}'?><r><a>{'a' if encoding == 'us-ascii' else 'é'}</a></r>"
    assert parse_xml(document.encode(encoding)) == {"a": document[-9]}


def test_refuses_a_value_with_the_name_of_its_field(xml_api: TableApi) -> None:
    response = send(xml_api, "<r><start_date>soon</start_date></r>")
    assert response.status_code == 400
    assert "start_date" in (document(response).findtext("error/detail") or "")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.from_regex("[a-z_][a-z0-9_.]{0,20}", fullmatch=True), TEXT))
def test_reads_back_what_it_writes_but_for_what_xml_cannot_hold(record: dict[str, str]) -> None:
    found = parse_xml(render_xml({"result": record}))
    assert found.keys() == record.keys()
    for name, text in record.items():
        assert len(found[name]) == len(text)
        assert all(there == here or there == "\ufffd" for there, here in zip(found[name], text, strict=True))


@given(st.text(max_size=60), TEXT)
def test_writes_well_formed_xml_whatever_the_names(name: str, text: str) -> None:
    assert len(ET.fromstring(render_xml({name: text, "result": [{name: [text, None]}]}))) >= 2


@given(st.one_of(st.binary(max_size=200), st.text("<>/r&;!?='\" a[]-", max_size=60).map(str.encode)))
def test_reads_or_refuses_any_bytes_whatever(body: bytes) -> None:
    found: Any = {}
    try:
        found = parse_xml(body)
    except RequestUnreadable as refused:
        assert refused.detail
    assert isinstance(found, dict)
