"""Bodies of uploads: a raw file, or a form with one file; incomplete bodies are refused.

See docs/reference/other-apis.md#attachment.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from changegate.api.envelopes import refusal, too_large
from changegate.api.request_body import PLAIN_ENCODINGS
from changegate.errors import ChangegateError, MediaTypeUnsupported, RequestUnreadable
from changegate.services.attachments.file_names import last_part
from changegate.services.attachments.upload import MEMORY_BYTES, Upload, measure, received
from changegate.unproxied import current_request

MULTIPART = "multipart/form-data"
# The size of the other parts of a form and the boundaries, in addition to the file.
FORM_BYTES = 64 * 1024
# The parser's buffer: it reads 64 KB at a time and keeps a part of the previous data.
PARSER_BYTES = 512 * 1024
MAX_PARTS = 20


def require_file(most: int) -> None:
    """Refuse a form, or a body of more than `most` bytes, before any of it is read.

    Content-Length is required: many servers report a chunked body that breaks off as one that has ended, and a partial
    file must not be stored.
    """
    sent = current_request()
    _require_plain_encoding()
    if not sent.mimetype:
        raise RequestUnreadable("Content-Type is missing")
    if sent.mimetype == MULTIPART:
        raise refusal(400, "Unsupported media type", f"Send {MULTIPART} to /attachment/upload")
    if "Transfer-Encoding" in sent.headers:
        raise _length_required()
    if sent.content_length is not None and sent.content_length > most:
        raise too_large(sent.content_length, most)
    # One byte more: the end of a body is found by another read, which the limit itself would refuse.
    sent.max_content_length = most + 1


@contextmanager
def read_file() -> Iterator[Upload]:
    """Read a body that `require_file` has accepted; raises `RequestUnreadable` if it is incomplete."""
    sent = current_request()
    expected = sent.content_length
    with received(sent.stream.read) as upload:
        if expected is None and upload.size:  # HTTP/2 sends bodies without a length
            raise _length_required()
        if upload.size != (expected or 0):
            raise RequestUnreadable(f"The body ended after {upload.size} of {expected} bytes")
        yield upload


@contextmanager
def read_form(most: int) -> Iterator[tuple[dict[str, str], FileStorage]]:
    """Yield the text fields of a form and its one file; `most` is the limit of the file in bytes.

    A form has a final boundary, so an incomplete one is refused even if it is chunked.
    """
    sent = current_request()
    _require_plain_encoding()
    if sent.mimetype != MULTIPART or not sent.mimetype_params.get("boundary"):
        raise refusal(400, "Unsupported media type", f"{MULTIPART} with a boundary is expected")
    sent.max_content_length = most + FORM_BYTES
    with ExitStack() as places:
        texts, files = _parse_form(places, most)
        if len(files) != 1:
            raise RequestUnreadable(f"One file is expected, and {len(files)} came")
        yield texts, files[0]


def _parse_form(places: ExitStack, most: int) -> tuple[dict[str, str], list[FileStorage]]:
    """Return the text fields and files of a form; `places` closes the files, also those of an incomplete form."""

    def open_place(
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return places.enter_context(SpooledTemporaryFile(max_size=MEMORY_BYTES))

    parser = FormDataParser(open_place, max_form_memory_size=PARSER_BYTES, max_form_parts=MAX_PARTS, silent=False)
    length = current_request().content_length
    try:
        _, texts, files = parser.parse(current_request().stream, MULTIPART, length, current_request().mimetype_params)
    except RequestEntityTooLarge:
        raise too_large(length, most) from None
    except ValueError as problem:
        raise RequestUnreadable(f"The form is incomplete: {problem}") from None
    return texts.to_dict(), [file for named in files.listvalues() for file in named]


def measure_file(sent: FileStorage, most: int) -> Upload:
    """Return the file of a form; raises `RequestUnreadable` if it is longer than `most` bytes."""
    upload = measure(sent.stream)
    if upload.size > most:
        raise too_large(upload.size, most)
    return upload


def name_of(sent: FileStorage) -> str:
    """Return the name of a file in a form, without the path that some clients send."""
    return last_part(sent.filename or "")


def _length_required() -> ChangegateError:
    return refusal(411, "Length required", "Content-Length is missing; send a chunked file in a form")


def _require_plain_encoding() -> None:
    encoding = current_request().environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding.strip().lower() not in PLAIN_ENCODINGS:
        raise MediaTypeUnsupported(f"Content-Encoding {encoding}", "a body as it is")
