"""A file is received whole and measured."""

import gzip
import hashlib
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.attachments.upload import (
    BINARY,
    MEMORY_BYTES,
    PDF,
    SAMPLE_BYTES,
    TEXT,
    measure,
    received,
    sniff_content_type,
)

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0) + b"\0" * 8

LARGE = b"0123456789abcdef" * (MEMORY_BYTES // 8)


def test_a_file_is_measured_from_beginning_to_end() -> None:
    upload = measure(io.BytesIO(LARGE))
    assert upload.size == len(LARGE)
    assert upload.digest == hashlib.sha256(LARGE).hexdigest()
    assert upload.content_type == "text/plain"
    assert upload.file.read() == LARGE


def test_an_empty_file_is_a_file() -> None:
    upload = measure(io.BytesIO())
    assert (upload.size, upload.digest) == (0, hashlib.sha256().hexdigest())


def test_a_received_file_equals_the_sent_one_and_is_deleted_afterwards() -> None:
    with received(io.BytesIO(LARGE).read) as upload:
        assert upload.file.read() == LARGE
        kept = upload.file
    assert kept.closed


def test_a_large_file_does_not_stay_in_memory() -> None:
    with received(io.BytesIO(LARGE).read) as upload:
        assert upload.file._rolled  # type: ignore[attr-defined]
    with received(io.BytesIO(LARGE[:1000]).read) as upload:
        assert not upload.file._rolled  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain words\n",
        "Änderung ✓".encode(),
        b'{"state": -5}',
        b"a,b\r\n1,2\r\n",
        b"\x1b[32mok\x1b[0m\n",
        b"#!/bin/sh\nrm -rf /\n",
        b"BM is how this text begins",
        b"MZ too",
    ],
)
def test_text_is_plain_text(content: bytes) -> None:
    assert sniff_content_type(content) == TEXT


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<html><body onload=alert(1)>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b'<?xml version="1.0"?><x/>',
        b"\xef\xbb\xbf<script>alert(1)</script>",
    ],
)
def test_files_that_a_browser_would_execute_are_plain_text(content: bytes) -> None:
    assert sniff_content_type(content) == TEXT


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PNG, "image/png"),
        (b"GIF89a\x01\x00\x01\x00\x80\x00\x00", "image/gif"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg"),
        (b"%PDF-1.4\n1 0 obj\n", PDF),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", PDF),
        (b"PK\x03\x04" + b"\x00" * 60, "application/zip"),
        (gzip.compress(b"log", mtime=0), "application/gzip"),
        (zlib.compress(b"log"), BINARY),
        (b"\x00\x01\x02\x03", BINARY),
        ("in Latin-1: é".encode("latin-1"), BINARY),
        (b"<html>\x00<script>", BINARY),
    ],
)
def test_the_type_is_recognized_from_the_bytes(content: bytes, content_type: str) -> None:
    assert sniff_content_type(content) == content_type


def test_a_sample_may_end_within_a_character() -> None:
    content = b"a" * (SAMPLE_BYTES - 1) + "é".encode()
    assert sniff_content_type(content[:SAMPLE_BYTES]) == TEXT
    assert sniff_content_type(content[: SAMPLE_BYTES - 1]) == TEXT


def test_a_file_that_ends_within_a_character_is_not_text() -> None:
    assert sniff_content_type("é".encode()[:1]) == BINARY


@given(st.binary(max_size=600))
def test_any_bytes_have_a_type_that_no_browser_runs(content: bytes) -> None:
    content_type = sniff_content_type(content)
    assert "/" in content_type
    assert not {"html", "svg", "xml", "javascript"} & set(content_type.replace("/", "+").split("+"))
