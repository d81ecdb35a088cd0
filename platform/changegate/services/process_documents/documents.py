"""Documents: the content of records of the process, as texts without sys_ids of their own.

Texts are those of the Table API. References are sys_ids, except those to rows of the same record: these are the
identity of the row, so that two models with the same states and transitions have the same content.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, select, true

from changegate.database import connection
from changegate.services.process_documents.kinds import NAME, ORDER, SHIPPED, SYS_ID, DocumentKind
from changegate.services.tables.values import render_value

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a record or row: the fields that are not empty, and the rows that belong to it, by list.

    `sys_id` is that of a stored row, `origin` its place in a file.
    """

    fields: Texts
    parts: Mapping[str, Sequence["Document"]]
    sys_id: str = field(default="", compare=False)
    is_shipped: bool = field(default=False, compare=False)
    origin: Any = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name, empty if the record has none."""
        return self.fields.get(NAME, "")

    @property
    def content(self) -> dict[str, Any]:
        """The content as values of JSON."""
        parts = {key: [each.content for each in rows] for key, rows in self.parts.items()}
        return {"fields": dict(self.fields), "parts": parts} | ({"shipped": True} if self.is_shipped else {})

    @property
    def canonical(self) -> str:
        """The content as JSON; equal contents have equal texts."""
        return orjson.dumps(self.content, option=orjson.OPT_SORT_KEYS).decode()


def document_of(content: Mapping[str, Any]) -> Document:
    """Return the document of a content."""
    parts = {key: tuple(map(document_of, rows)) for key, rows in content["parts"].items()}
    return Document(content["fields"], parts, is_shipped=content.get("shipped", False))


def read_documents(kind: DocumentKind) -> list[Document]:
    """Return all records of a kind in their order."""
    return in_order(kind, _read(kind, true(), {}))


def find_document(kind: DocumentKind, field: str, value: str) -> Document | None:
    """Return the record with a unique value, such as its name, or None."""
    return next(_read(kind, kind.table.source.c[field] == value, {}), None)


def identity_of(kind: DocumentKind, document: Document) -> tuple[str, ...]:
    """Return the texts by which a document is recognized."""
    return tuple(document.fields.get(name, "") for name in kind.identity)


def in_order(kind: DocumentKind, documents: Iterable[Document]) -> list[Document]:
    """Return documents in an order that depends on their content only."""

    def rank(document: Document) -> Any:
        texts = [document.fields.get(name, "") for name in (ORDER, *kind.identity)]
        return [(int(text), "") if _is_number(text) else (0, text) for text in texts], document.canonical

    return sorted(documents, key=rank)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _read(
    kind: DocumentKind, clause: ColumnElement[bool], siblings: Mapping[str, Mapping[str, str]]
) -> Iterator[Document]:
    entries, source = kind.table.entries, kind.table.source
    is_of_class = source.c["sys_class_name"].in_(kind.table.classes) if kind.table.classes else true()
    for row in connection().execute(select(source).where(clause, is_of_class)).mappings().all():
        texts = {name: render_value(entries[name], row[name]) for name in kind.fields}
        texts |= {name: siblings[key].get(texts[name], "") for name, key in kind.siblings.items()}
        parts: dict[str, Sequence[Document]] = {}
        for part in kind.parts:
            is_owned = part.table.source.c[part.owner] == row[SYS_ID]
            keys = {key: identities_of(kind.part(key), rows) for key, rows in parts.items()}
            parts[part.key] = in_order(part, _read(part, is_owned, keys))
        filled = {name: text for name, text in texts.items() if text}
        yield Document(filled, parts, row[SYS_ID], bool(row.get(SHIPPED)))


def identities_of(kind: DocumentKind, rows: Iterable[Document]) -> Texts:
    """Return the texts by which other rows of the same record refer to rows, by sys_id."""
    return {row.sys_id: ",".join(identity_of(kind, row)) for row in rows}
