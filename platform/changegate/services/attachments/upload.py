"""Uploads: a file is received completely, and measured, before anything is written to the database."""

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

import filetype

SAMPLE_BYTES = 8192
TEXT = "text/plain"
BINARY = "application/octet-stream"
PDF = "application/pdf"
# Binary data bytes of the WHATWG's MIME Sniffing standard, §3.
_BINARY_BYTE = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")

# Larger files are buffered on disk.
MEMORY_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file; `digest` is its SHA-256 in hex."""

    file: IO[bytes]
    size: int
    digest: str
    content_type: str


@contextmanager
def received(read: Read) -> Iterator[Upload]:
    """Read a file to its end into a temporary file, which is deleted after the block."""
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as file:
        for piece in _pieces(read):
            file.write(piece)
        yield measure(file)


def measure(file: IO[bytes]) -> Upload:
    """Return the size, digest, and type of a file, and rewind it."""
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    digest, size = hashlib.sha256(sample), len(sample)
    for piece in _pieces(file.read):
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    return Upload(file, size, digest.hexdigest(), sniff_content_type(sample))


def _pieces(read: Read) -> Iterator[bytes]:
    while piece := read(_READ_BYTES):
        yield piece


def sniff_content_type(sample: bytes) -> str:
    """Return the content type of a file from `sample`, its first `SAMPLE_BYTES` or all of it.

    Every text is text/plain, even HTML and SVG, whose scripts a browser would execute. The only exception is a PDF,
    which may consist of text.
    """
    if _is_text(sample):
        return PDF if sample.startswith(b"%PDF-") else TEXT
    kind = filetype.guess(sample)
    return BINARY if kind is None else str(kind.mime)


def _is_text(sample: bytes) -> bool:
    is_whole = len(sample) < SAMPLE_BYTES
    try:
        # A sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        return False
    return _BINARY_BYTE.search(sample) is None
