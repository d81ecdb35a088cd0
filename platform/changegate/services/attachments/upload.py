"""Uploads: a file is received whole and measured before the database hears of it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from changegate.services.attachments.content_types import SAMPLE_BYTES, sniff_content_type

# More than this waits on disk, so that memory does not grow with what people send.
MEMORY_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived; `digest` is its SHA-256 in hex."""

    file: IO[bytes]
    size: int
    digest: str
    content_type: str


@contextmanager
def received(read: Read) -> Iterator[Upload]:
    """Read a file to its end into a place that is gone afterwards."""
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as file:
        for piece in _pieces(read):
            file.write(piece)
        yield measure(file)


def measure(file: IO[bytes]) -> Upload:
    """Return what there is to know of a file, which is at its beginning again afterwards."""
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
