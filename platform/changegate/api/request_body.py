"""Request bodies: JSON or XML, complete, and of limited size.

See docs/reference/table-api.md#headers and #errors.
"""

from typing import Any

import orjson

from changegate.api.envelopes import too_large
from changegate.api.negotiation import JSON_TYPE, XML_TYPES
from changegate.api.whole_body import read_at_most
from changegate.api.xml_records import parse_xml
from changegate.errors import MediaTypeUnsupported, RequestUnreadable
from changegate.unproxied import current_application, current_request

PLAIN_ENCODINGS = frozenset({"", "identity"})


def read_record() -> dict[str, Any]:
    """Return the record in the body: of a list the first item, of an empty body an empty record.

    See docs/reference/table-api.md#paths-and-methods and #unusual-input.

    Raises `MediaTypeUnsupported` and `RequestUnreadable`.
    """
    kind = current_request().mimetype
    if kind in XML_TYPES:
        data = read_body()
        return parse_xml(data) if data.strip() else {}
    _require_json(f"{JSON_TYPE} or {XML_TYPES[0]}")
    sent = _load_json(read_body())
    return _as_object(sent[0] if isinstance(sent, list) and sent else sent)


def read_object() -> dict[str, Any]:
    """Return the JSON object in the body; raises `MediaTypeUnsupported` and `RequestUnreadable`."""
    _require_json(JSON_TYPE)
    return _as_object(_load_json(read_body()))


def _require_json(expected: str) -> None:
    """Refuse a body whose type is not JSON. Without a type it is read as JSON, unless a browser has sent it.

    Pages of other origins can send bytes without a type and without a preflight request (a no-cors fetch of a typeless
    Blob), while real clients send JSON without a type (docs/reference/table-api.md#headers).
    """
    sent = current_request()
    kind = sent.environ.get("CONTENT_TYPE", "").strip()
    if kind:
        if sent.mimetype != JSON_TYPE:
            raise MediaTypeUnsupported(kind, expected)
    elif "HTTP_ORIGIN" in sent.environ or "HTTP_SEC_FETCH_SITE" in sent.environ:
        raise MediaTypeUnsupported("A request of a browser without Content-Type", expected)


def read_body() -> bytes:
    """Return the body; raises `MediaTypeUnsupported` if it is compressed, `RequestUnreadable` over 10 MB.

    Compressed bodies are refused because a small one may expand to a huge one.
    """
    sent = current_request()
    encoding = sent.environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding.strip().lower() not in PLAIN_ENCODINGS:
        raise MediaTypeUnsupported(f"Content-Encoding {encoding}", "a body as it is")
    most = current_application().config["MAX_CONTENT_LENGTH"]
    data = read_at_most(most)
    if len(data) > most:
        raise too_large(sent.content_length, most)
    return data


def _load_json(data: bytes) -> Any:
    try:
        return orjson.loads(data) if data.strip() else {}
    except orjson.JSONDecodeError as problem:
        raise RequestUnreadable(f"The body is not JSON: {problem}") from None


def _as_object(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise RequestUnreadable("A JSON object is expected")
    return sent
