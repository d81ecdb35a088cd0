"""Records as XML: `<response><result>…</result></response>` in responses, flat elements in requests.

See docs/reference/table-api.md#values.

Requests are untrusted: defusedxml refuses a document type, so there are no entities, and nesting is limited.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import escape

from defusedxml import DTDForbidden
from defusedxml.expatreader import DefusedExpatParser

from changegate.errors import RequestUnreadable

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
ROOT = "response"
MAX_XML_DEPTH = 4  # The levels of a request: response, result, a reference, its value.
MAX_ELEMENTS = 10_000
# The encodings that expat decodes itself. It looks up others among Python's codecs, which never forget an unknown name.
ENCODINGS = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})
ENVELOPES = frozenset({"request", "response"})
WRAPPERS = ("entry", "result")
# XML 1.0 cannot represent these characters.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]|^(?=[^A-Za-z_])")
# XML parsers read a literal carriage return as a line feed.
_ESCAPES = {"\r": "&#13;"}


def render_xml(body: Mapping[str, Any]) -> bytes:
    """Return the document of a response; each item of a list becomes an element with the name of the list."""
    return f"{DECLARATION}{_element(ROOT, body)}".encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, Mapping):
        content = "".join(_element(_name(key), item) for key, item in value.items())
    elif isinstance(value, bool):
        content = "true" if value else "false"
    else:
        content = escape(_UNWRITABLE.sub("\ufffd", "" if value is None else str(value)), _ESCAPES)
    return f"<{name}>{content}</{name}>" if content else f"<{name}/>"


@lru_cache(maxsize=1024)
def _name(key: str) -> str:
    return _NO_NAME.sub("_", key) or "_"


def parse_xml(document: bytes) -> dict[str, Any]:
    """Return the record in a document: text by field, and a dict for a field that contains elements.

    Fields are the children of the first `<request><entry>` or `<response><result>`, otherwise of the root. Raises
    `RequestUnreadable`.
    """
    root = _read_root(document)
    for wrapper in WRAPPERS if root.name in ENVELOPES else ():
        if wrapper in root.children:
            return _as_record(root.children[wrapper])
    return _as_record(root.value)


def _as_record(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if value.strip():
        raise RequestUnreadable("An XML element for each field is expected")
    return {}


@dataclass(slots=True)
class _Element:
    name: str
    texts: list[str] = field(default_factory=list)
    children: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> Any:
        return self.children or "".join(self.texts)


def _read_root(document: bytes) -> _Element:
    reader, parser = _Reader(), _Parser(forbid_dtd=True)
    parser.setContentHandler(reader)
    try:
        parser.feed(document)
        parser.close()
    except DTDForbidden:
        raise RequestUnreadable("XML with a document type is refused") from None
    except SAXParseException as problem:
        raise RequestUnreadable(f"The body is not XML: {problem.getException()}") from None
    return reader.root


class _Parser(DefusedExpatParser):
    """Reads untrusted XML in a known encoding."""

    def reset(self) -> None:
        super().reset()
        self._parser.XmlDeclHandler = self._require_known_encoding  # type: ignore[attr-defined]

    def _require_known_encoding(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            raise RequestUnreadable(f"XML in the encoding {encoding[:40]} is not read; UTF-8 is")


class _Reader(ContentHandler):
    """Builds records from elements and text."""

    def __init__(self) -> None:
        super().__init__()
        self.root = _Element("")
        self._open: list[_Element] = []
        self._count = 0

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - SAX's name
        """Open an element; raises `RequestUnreadable` for too many, or too deep ones."""
        self._count += 1
        if len(self._open) == MAX_XML_DEPTH:
            raise RequestUnreadable(f"XML is nested more than {MAX_XML_DEPTH} elements deep")
        if self._count > MAX_ELEMENTS:
            raise RequestUnreadable(f"XML has more than {MAX_ELEMENTS} elements")
        self._open.append(_Element(name))

    def endElement(self, name: str) -> None:  # noqa: N802
        """Keep the value of the element in the one that contains it."""
        element = self._open.pop()
        if not self._open:
            self.root = element
        elif len(self._open) == 1 and element.name in WRAPPERS:
            self._open[0].children.setdefault(element.name, element.value)
        else:
            self._open[-1].children[element.name] = element.value

    def characters(self, content: str) -> None:
        """Keep a piece of the element's text."""
        self._open[-1].texts.append(content)
