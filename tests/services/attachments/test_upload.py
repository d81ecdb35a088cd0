"""A file is received whole and measured."""

import hashlib
import io

from changegate.services.attachments.upload import MEMORY_BYTES, measure, received

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


def test_what_is_received_is_what_was_sent_and_is_gone_afterwards() -> None:
    with received(io.BytesIO(LARGE).read) as upload:
        assert upload.file.read() == LARGE
        kept = upload.file
    assert kept.closed


def test_a_large_file_does_not_stay_in_memory() -> None:
    with received(io.BytesIO(LARGE).read) as upload:
        assert upload.file._rolled  # type: ignore[attr-defined]
    with received(io.BytesIO(LARGE[:1000]).read) as upload:
        assert not upload.file._rolled  # type: ignore[attr-defined]
