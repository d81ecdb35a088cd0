"""Content types, told from the bytes alone: a name and a header say what the sender likes."""

import codecs
import re

import filetype

SAMPLE_BYTES = 8192
TEXT = "text/plain"
BINARY = "application/octet-stream"
PDF = "application/pdf"
# The bytes that no text has, by the WHATWG's MIME Sniffing standard, §3.
_BINARY_BYTE = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def sniff_content_type(sample: bytes) -> str:
    """Return the type of a file that begins with `sample`, its first `SAMPLE_BYTES` or all of it.

    What is text is plain text, whatever language it is written in: as HTML or SVG it would run in a browser. Only a
    PDF may look like text and be more than that.
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
