"""Records as XML: `<response><result>…</result></response>` in responses, flat elements in requests.

See docs/reference/table-api.md#values.

Requests are untrusted: a document type is refused, so there are no entities, and nesting is limited.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from changegate.errors import RequestUnreadable

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
ROOT = "response"
MAX_DEPTH = 4  # The levels of a request: response, result, a reference, its value.
MAX_ELEMENTS = 10_000
# The encodings that expat decodes itself. It would look up any other among all of Python's codecs.
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
    reader = _Reader()
    try:
        reader.read(document)
    except (expat.ExpatError, ValueError, LookupError) as problem:
        raise RequestUnreadable(f"The body is not XML: {problem}") from None
    root = reader.root
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


class _Reader:
    """Builds records from the events of a parser restricted to elements and text."""

    def __init__(self) -> None:
        self.root = _Element("")
        self._open: list[_Element] = []
        self._count = 0

    def read(self, document: bytes) -> None:
        """Parse a complete document."""
        parser = expat.ParserCreate()
        parser.XmlDeclHandler = self._require_known_encoding
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(document, True)

    def _require_known_encoding(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            raise RequestUnreadable(f"XML in the encoding {encoding[:40]} is not read; UTF-8 is")

    def _refuse_doctype(self, *_declaration: Any) -> None:
        raise RequestUnreadable("XML with a document type is refused")

    def _start(self, name: str, _attributes: Any) -> None:
        self._count += 1
        if len(self._open) == MAX_DEPTH:
            raise RequestUnreadable(f"XML is nested more than {MAX_DEPTH} elements deep")
        if self._count > MAX_ELEMENTS:
            raise RequestUnreadable(f"XML has more than {MAX_ELEMENTS} elements")
        self._open.append(_Element(name))

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        if not self._open:
            self.root = element
        elif len(self._open) == 1 and element.name in WRAPPERS:
            self._open[0].children.setdefault(element.name, element.value)
        else:
            self._open[-1].children[element.name] = element.value

    def _text(self, text: str) -> None:
        self._open[-1].texts.append(text)
