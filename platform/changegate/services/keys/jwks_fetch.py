"""The fetch of a key set from a URL that an administrator typed: no redirect, no internal address, no long wait."""

import errno
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswerError

from changegate.errors import JwksFetchFailed
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.guarded_connection import (
    Resolver,
    open_connection,
    resolve_host,
    seconds_left,
)
from changegate.services.keys.jwks_answer import OK, FetchedDocument, read_answer
from changegate.services.keys.url_policy import AdmittedUrl, admit_url

__all__ = ["FetchPolicy", "FetchedDocument", "fetch_jwks"]

READ_SECONDS = 5.0
TOTAL_SECONDS = 8.0
CHECK_SERVER = "Check the host and port, and whether the provider's server is running and can be reached from here."
CONNECTION_FAILURES = {
    errno.ECONNREFUSED: "it refused the connection",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ENETUNREACH: "there is no route to it",
}
_CHUNK_BYTES = 16 * 1024
# Uncompressed, so that a small response cannot expand to a large document; without keep-alive, because each fetch
# connects to a newly checked address.
_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "changegate",
}


@dataclass(frozen=True, slots=True, repr=False)
class Form:
    """A form to send by POST, encoded, with its headers; may contain secrets.

    `statuses` are those whose answer is read: that of a refusal explains it (RFC 6749 §5.2).
    """

    body: bytes
    headers: Mapping[str, str]
    statuses: frozenset[int] = frozenset({200, 400, 401})


def latest_end() -> float:
    """Return when a fetch that begins now must have ended, as a time of `time.monotonic`."""
    return time.monotonic() + TOTAL_SECONDS


def fetch_jwks(
    url: str,
    policy: FetchPolicy,
    *,
    etag: str | None = None,
    last_modified: str | None = None,
    resolve: Resolver = resolve_host,
    deadline: float | None = None,
    form: Form | None = None,
) -> FetchedDocument:
    """Fetch a JWKS document; conditionally if `etag` or `last_modified` of an earlier response is given.

    With a `form`, send it and return the answer, such as that of a token endpoint.

    The name is resolved once, every address is checked, and the connection goes to a checked address. Proxies and
    netrc files of the environment are not used, and redirects are not followed. Takes at most 8 seconds, or until the
    `deadline`, which several fetches can share. Raises `JwksFetchFailed` with a sentence for the administrator.
    """
    is_search = deadline is not None
    deadline = latest_end() if deadline is None else deadline
    admitted = admit_url(url, policy)
    conditions = _conditions(etag, last_modified)
    try:
        connection = open_connection(admitted, policy, resolve, deadline)
        return _exchange(connection, admitted, conditions, deadline, form)
    except JwksFetchFailed:
        raise
    except Exception as problem:
        # Whatever a library raises on the response of a hostile server, the caller gets a refusal.
        raise JwksFetchFailed(_explain(problem, admitted, deadline, is_search=is_search)) from None


def _conditions(etag: str | None, last_modified: str | None) -> dict[str, str]:
    conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    return {name: value for name, value in conditions.items() if value}


def _exchange(
    connection: HTTPConnection, url: AdmittedUrl, conditions: dict[str, str], deadline: float, form: Form | None
) -> FetchedDocument:
    # Timeouts apply to each read. Only a watchdog stops a server that sends its headers or body byte by byte.
    watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [connection.sock])
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.timeout = min(READ_SECONDS, seconds_left(deadline))
        method, body, further = ("POST", form.body, form.headers) if form else ("GET", None, conditions)
        headers = {**_HEADERS, **further, "Host": url.host_header}
        connection.request(method, url.target, body, headers, preload_content=False, decode_content=False)
        statuses = form.statuses if form else OK
        document = _read(connection.getresponse(), is_conditional=bool(conditions), statuses=statuses)
        # A response that the watchdog cut off may look like a short response that is complete.
        seconds_left(deadline)
        return document
    finally:
        watchdog.cancel()
        connection.close()


def _read(response: HTTPResponse, *, is_conditional: bool, statuses: frozenset[int]) -> FetchedDocument:
    try:
        chunks = response.stream(_CHUNK_BYTES, decode_content=False)
        return read_answer(response.status, response.headers, chunks, is_conditional=is_conditional, statuses=statuses)
    finally:
        response.close()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _explain(problem: Exception, url: AdmittedUrl, deadline: float, *, is_search: bool) -> str:
    server, kind = url.host_header, type(problem).__name__
    if time.monotonic() >= deadline:
        limit = f"{TOTAL_SECONDS:.0f} seconds"
        if is_search:
            return f"The search ended after {limit}, before the server {server} had answered."
        return f"The server {server} took longer than {limit}."
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"The certificate of {server} is not valid: {problem.verify_message.rstrip('.')}."
    if isinstance(problem, ssl.SSLError):
        return f"No TLS connection to {server} could be made ({problem.reason or kind})."
    # A subclass of the next one.
    if isinstance(problem, NewConnectionError):
        return f"Could not connect to the server {server}: {_reason(problem.__cause__)}. {CHECK_SERVER}"
    if isinstance(problem, NoAnswerError | TimeoutError):
        return f"The server {server} did not answer in time."
    if isinstance(problem, HTTPException | HTTPError | OSError):
        return f"The answer of the server {server} is incomplete or is not HTTP."
    return f"Fetching from {server} failed ({kind})."


def _reason(problem: BaseException | None) -> str:
    number = problem.errno if isinstance(problem, OSError) else None
    return CONNECTION_FAILURES.get(number or 0, "the connection failed")
