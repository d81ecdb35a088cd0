"""The response of a provider's server: whether it holds a key set, and how long it stays fresh."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from changegate.errors import JwksFetchFailed
from changegate.printable import printable

MAX_DOCUMENT_BYTES = 256 * 1024
_LONGEST = timedelta(days=365)
# The types that static file servers send for a file without a known extension.
OK = frozenset({200})
_TOLERATED_TYPES = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A successful response: status 200 with a body, or 304 without one.

    `max_age` is the remaining freshness lifetime; None if the server specified none.
    """

    status: int
    body: bytes
    etag: str | None = None
    last_modified: str | None = None
    max_age: timedelta | None = None
    content_type: str = ""
    warnings: tuple[str, ...] = ()


class AnswerRefused(JwksFetchFailed):
    """The server responded, but not with a key set."""

    def __init__(self, message: str, http_status: int) -> None:
        super().__init__(message)
        self.http_status = http_status


def read_answer(
    status: int,
    headers: Mapping[str, str],
    chunks: Iterable[bytes],
    *,
    is_conditional: bool,
    statuses: frozenset[int] = OK,
) -> FetchedDocument:
    """Turn a response into a document; read the body only if status, one of `statuses`, and headers are acceptable.

    Raises `AnswerRefused`.
    """
    # A 304 without a condition has no stored document that it could confirm, and is refused below.
    if status == 304 and is_conditional:
        return _document(status, b"", headers)
    _require_status(status, headers, statuses)
    content_type = _media_type(headers)
    warnings = _check_media_type(content_type, status)
    # Never decompress: a few kilobytes can expand to gigabytes before a limit on the result applies.
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        raise AnswerRefused("The server compressed its answer although it was asked not to.", status)
    return _document(status, _read_body(status, headers, chunks), headers, content_type, warnings)


def remaining_freshness(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long a response stays fresh (RFC 9111 §4.2); None if the server does not specify it."""
    directives = [part.strip().lower() for part in headers.get("Cache-Control", "").split(",")]
    # Not None, which means that the server specified nothing and allows the integration's whole lifespan.
    if "no-store" in directives or "no-cache" in directives:
        return timedelta(0)
    ages = [part.partition("=")[2].strip('" ') for part in directives if part.partition("=")[0] == "max-age"]
    if ages:
        # The shortest of repeated directives counts, and the time that the response spent in caches is subtracted.
        return max(timedelta(0), min(map(_seconds, ages)) - _seconds(headers.get("Age", "0")))
    if "Expires" in headers:
        return _until(headers["Expires"], headers.get("Date", ""))
    return None


def _seconds(text: str) -> timedelta:
    # A malformed number counts as 0: fetching too often is safe, trusting a key for too long is not.
    if not (text.isascii() and text.isdigit()):
        return timedelta(0)
    return min(timedelta(seconds=int(text[:9])), _LONGEST) if len(text) <= 9 else _LONGEST


def _until(expires: str, date: str) -> timedelta:
    try:
        lifetime = parsedate_to_datetime(expires) - parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    return min(max(lifetime, timedelta(0)), _LONGEST)


def _require_status(status: int, headers: Mapping[str, str], statuses: frozenset[int]) -> None:
    if status in statuses:
        return
    if 300 <= status < 400 and status != 304:
        raise AnswerRefused(
            f"The server redirects (status {status}) to {_host_of(headers.get('Location', ''))}. Redirects "
            "are not followed: enter the final URL.",
            status,
        )
    raise AnswerRefused(f"The server answered with status {status} instead of a key set.", status)


def _host_of(location: str) -> str:
    try:
        host = parse_url(location).host
    except LocationParseError:
        host = None
    return printable(host, 253) if host else "another path"


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_media_type(media_type: str, status: int) -> tuple[str, ...]:
    is_json = media_type.startswith("application/") and media_type.endswith(("/json", "+json"))
    if is_json:
        return ()
    shown = printable(media_type, 100)
    if media_type in _TOLERATED_TYPES:
        return (f"The server calls the key set {shown or 'nothing'}; application/json is expected.",)
    raise AnswerRefused(f"The server answered with {shown}, not with JSON.", status)


def _read_body(status: int, headers: Mapping[str, str], chunks: Iterable[bytes]) -> bytes:
    too_large = AnswerRefused(f"The document is larger than {MAX_DOCUMENT_BYTES // 1024} KiB.", status)
    length = headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > MAX_DOCUMENT_BYTES):
        raise too_large
    body = bytearray()
    # The announced length may be missing or wrong. Only the received bytes bound the memory.
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise too_large
    return bytes(body)


def _document(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    content_type: str = "",
    warnings: tuple[str, ...] = (),
) -> FetchedDocument:
    return FetchedDocument(
        status=status,
        body=body,
        etag=_validator(headers, "ETag", 1000),
        last_modified=_validator(headers, "Last-Modified", 100),
        max_age=remaining_freshness(headers),
        content_type=content_type,
        warnings=warnings,
    )


def _validator(headers: Mapping[str, str], name: str, limit: int) -> str | None:
    """Return a validator of the response if it is safe to send back later and fits its column."""
    # The value is sent back as a header of the next fetch, where a line break would start another header.
    value = headers.get(name, "")
    return value if 0 < len(value) <= limit and value.isascii() and value.isprintable() else None
