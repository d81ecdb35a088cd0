from datetime import timedelta

import pytest
from urllib3 import HTTPHeaderDict

from changegate.services.keys.jwks_answer import (
    MAX_DOCUMENT_BYTES,
    AnswerRefused,
    read_answer,
    remaining_freshness,
)

JSON = {"Content-Type": "application/json"}


def read(status=200, body=b"{}", *, conditional=False, **headers):
    named = HTTPHeaderDict(JSON | {name.replace("_", "-"): value for name, value in headers.items()})
    return read_answer(status, named, [body], is_conditional=conditional)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Cache-Control": "public"}, None),
        ({"Cache-Control": "max-age=300"}, 300),
        ({"Cache-Control": 'public, MAX-AGE="300"'}, 300),
        ({"Cache-Control": "max-age=300", "Age": "100"}, 200),
        ({"Cache-Control": "max-age=300", "Age": "301"}, 0),
        ({"Cache-Control": "max-age=300", "Age": "-5"}, 300),
        ({"Cache-Control": "max-age=300", "Age": "9" * 30}, 0),
        ({"Cache-Control": "max-age=300, max-age=60"}, 60),
        ({"Cache-Control": "max-age=0"}, 0),
        ({"Cache-Control": "max-age=-1"}, 0),
        ({"Cache-Control": "max-age=soon"}, 0),
        ({"Cache-Control": "max-age"}, 0),
        ({"Cache-Control": "max-age=\u0661"}, 0),
        ({"Cache-Control": "max-age=1000000000000"}, 365 * 86400),
        ({"Cache-Control": "max-age=300, no-cache"}, 0),
        ({"Cache-Control": "no-store"}, 0),
        ({"Expires": "Thu, 01 Jan 2026 00:10:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 600),
        ({"Expires": "Thu, 01 Jan 2026 00:00:00 GMT", "Date": "Thu, 01 Jan 2026 00:10:00 GMT"}, 0),
        ({"Expires": "Fri, 31 Dec 9999 00:00:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 365 * 86400),
        ({"Expires": "0"}, 0),
        ({"Expires": "Thu, 01 Jan 2026 00:10:00 GMT", "Date": "yesterday"}, 0),
        ({"Expires": "Thu, 01 Jan 2026 00:10:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 -0000"}, 0),
        ({"Expires": "Thu, 01 Jan 2026 00:10:00 GMT", "Cache-Control": "max-age=60"}, 60),
    ],
)
def test_freshness_is_max_age_without_age(headers, seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert remaining_freshness(HTTPHeaderDict(headers)) == expected


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON; charset=utf-8"])
@pytest.mark.parametrize("family", ["json", "jwk-set+json", "vnd.example+json"])
def test_json_by_any_of_its_names_is_read(content_type, family):
    document = read(Content_Type=content_type.lower().replace("json", family))
    assert (document.body, document.warnings) == (b"{}", ())


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_types_of_static_hosts_are_read_with_a_warning(content_type):
    assert "application/json is expected" in read(Content_Type=content_type).warnings[0]


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml", "image/png", "text/json"])
def test_other_types_are_refused(content_type):
    with pytest.raises(AnswerRefused, match=r"not with JSON"):
        read(Content_Type=content_type)


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 404, 429, 500, 503])
def test_any_other_status_is_refused_and_reported(status):
    with pytest.raises(AnswerRefused, match=str(status)) as refusal:
        read(status)
    assert refusal.value.http_status == status


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://169.254.169.254/latest", "169.254.169.254"),
        ("https://login.example/", "login.example"),
        ("/elsewhere", "another path"),
        ("http://[", "another path"),
        ("", "another path"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_host_reported(status, location, told):
    with pytest.raises(AnswerRefused, match=told):
        read(status, Location=location)


def test_not_modified_is_an_answer_to_a_condition_only():
    assert read(304, conditional=True, ETag='"2"').etag == '"2"'
    with pytest.raises(AnswerRefused, match="304"):
        read(304)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "identity, gzip"])
def test_compression_is_refused(encoding):
    with pytest.raises(AnswerRefused, match="compressed"):
        read(Content_Encoding=encoding)
    assert read(Content_Encoding="Identity").body == b"{}"


@pytest.mark.parametrize("length", [str(MAX_DOCUMENT_BYTES + 1), "9" * 40])
def test_an_announced_excess_is_refused_before_reading(length):
    with pytest.raises(AnswerRefused, match="256 KiB"):
        read(Content_Length=length)


def test_an_unannounced_excess_is_refused():
    assert len(read(body=b" " * MAX_DOCUMENT_BYTES, Content_Length="no number").body) == MAX_DOCUMENT_BYTES
    with pytest.raises(AnswerRefused, match="256 KiB"):
        read(body=b" " * (MAX_DOCUMENT_BYTES + 1))


@pytest.mark.parametrize("etag", ["e" * 1001, '"ä"', '"a\r\n b"', ""])
def test_a_validator_that_could_do_harm_is_dropped(etag):
    document = read(ETag=etag, Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")
    assert (document.etag, document.last_modified) == (None, "Thu, 01 Jan 2026 00:00:00 GMT")
