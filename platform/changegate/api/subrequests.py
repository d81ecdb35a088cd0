"""Requests in a batch, run through the WSGI application as if each had been sent alone."""

import binascii
import io
import time
from base64 import b64decode, b64encode
from contextlib import closing
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from marshmallow import ValidationError
from werkzeug.wrappers import Response

from changegate.api.envelopes import table_error
from changegate.api.id_tokens import inherited_admission
from changegate.api.whole_body import WHOLE_BODY
from changegate.errors import ChangegateError, InputInvalid, RequestUnreadable
from changegate.schemas.batch import METHODS, URL_PREFIX, RestRequestSchema
from changegate.schemas.field_errors import field_errors
from changegate.unproxied import current_application, current_request

MAX_INPUT_BYTES = 5 * 1024 * 1024
MAX_OUTPUT_BYTES = 10 * 1024 * 1024
# Key of the WSGI environment of a request in a batch; no header can set it.
IN_BATCH = "changegate.in_batch"
# Keys that requests inherit from the environment of their batch: the caller and the addresses.
# An explicit list. A condition or an Idempotency-Key of the batch itself must not apply to each of its requests.
INHERITED = (
    "REMOTE_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
    "HTTP_HOST",
    "HTTP_AUTHORIZATION",
    "wsgi.version",
    "wsgi.url_scheme",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
)
# Headers that a request in a batch may set, and their keys in the environment.
# Authorization is not among them: a request in a batch must not act as another caller.
OWN_HEADERS = {
    "accept": "HTTP_ACCEPT",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "content-type": "CONTENT_TYPE",
    "if-match": "HTTP_IF_MATCH",
    "if-none-match": "HTTP_IF_NONE_MATCH",
    "idempotency-key": "HTTP_IDEMPOTENCY_KEY",
    "x-http-method-override": "HTTP_X_HTTP_METHOD_OVERRIDE",
    "x-no-response-body": "HTTP_X_NO_RESPONSE_BODY",
}
_schema = RestRequestSchema()


class SubrequestResponse(Response):
    """A response that gets no Content-Type by default, so that one without a body has none."""

    default_mimetype = None


def answer_subrequest(identifier: str, sent: dict[str, Any]) -> dict[str, Any]:
    """Run one request of a batch and return its response; a malformed request gets a 400 of its own."""
    begun = time.monotonic()
    excludes_headers = False
    response: Response
    try:
        loaded = _load(sent)
        excludes_headers = bool(loaded["exclude_response_headers"])
        response = _run(loaded)
    except ChangegateError as refused:
        response = table_error(refused)
    status = response.status_code
    answer = {
        "id": identifier,
        "status_code": status,
        "status_text": HTTPStatus(status).phrase,
        "execution_time": int((time.monotonic() - begun) * 1000),
        "headers": [] if excludes_headers else [{"name": name, "value": text} for name, text in response.headers],
    }
    body = response.get_data()
    return answer | {"body": b64encode(body).decode()} if body else answer


def _load(sent: dict[str, Any]) -> dict[str, Any]:
    try:
        wanted: dict[str, Any] = _schema.load(sent)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return wanted


def _run(loaded: dict[str, Any]) -> Response:
    app = current_application()
    environ = _environ(loaded)
    # A separate context gives each request its own session, and so its own transaction.
    with app.app_context():
        response = SubrequestResponse.from_app(app, environ)
        response.response = [_read_answer(response)]
    return response


def _read_answer(response: Response) -> bytes:
    """Return the body of a response; raises `RequestUnreadable` once it is too large, before a huge file is read."""
    pieces, size = [], 0
    with closing(response):
        for piece in response.iter_encoded():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_OUTPUT_BYTES:
                raise RequestUnreadable(f"The response is over {MAX_OUTPUT_BYTES} bytes; request less at once")
    return b"".join(pieces)


def _environ(loaded: dict[str, Any]) -> dict[str, Any]:
    """Return a new WSGI environment for a request; of its headers, it gets only those in `OWN_HEADERS`."""
    sent = current_request()
    parts = _split(loaded["url"])
    body = _decode(loaded["body"] or "")
    environ = {name: sent.environ[name] for name in INHERITED if name in sent.environ}
    for header in loaded["headers"] or ():
        name = OWN_HEADERS.get(header["name"].strip().lower())
        if name is not None:
            environ[name] = _latin1((header["value"] or "").strip().encode())
    return environ | {
        **inherited_admission(),
        IN_BATCH: True,
        WHOLE_BODY: True,
        "REQUEST_METHOD": _method(loaded["method"]),
        "PATH_INFO": _latin1(unquote_to_bytes(parts.path)),
        "QUERY_STRING": _latin1(parts.query.encode()),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


def _method(sent: str) -> str:
    method = sent.strip().upper()
    if method not in METHODS:
        raise InputInvalid({"method": [f"One of {', '.join(METHODS)} is expected."]})
    return method


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme or parts.netloc or not parts.path.startswith(URL_PREFIX):
        raise InputInvalid({"url": [f"A path that starts with {URL_PREFIX} is expected."]})
    return parts


def _decode(text: str) -> bytes:
    try:
        body = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputInvalid({"body": ["Base64 is expected."]}) from None
    if len(body) > MAX_INPUT_BYTES:
        raise InputInvalid({"body": [f"At most {MAX_INPUT_BYTES} bytes are allowed."]})
    return body


def _latin1(octets: bytes) -> str:
    # WSGI represents bytes as strings in this encoding (PEP 3333).
    return octets.decode("latin-1")
