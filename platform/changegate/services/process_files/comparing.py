"""Comparing documents: what must be written so that a stored record matches another one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from changegate.services.process_documents.documents import Document, identity_of, in_order
from changegate.services.process_documents.kinds import DocumentKind

Action = Literal["create", "change", "keep"]


@dataclass(frozen=True, slots=True)
class Edit:
    """The difference between a stored record or row, if there is one, and the wanted one.

    `changes` has the old and the new text of each field that differs. `parts` are the differences of the rows that
    belong to it, and `removed` the rows that are not wanted any more, with their kind.
    """

    kind: DocumentKind
    stored: Document | None
    wanted: Document
    changes: Mapping[str, tuple[str, str]]
    parts: Sequence["Edit"]
    removed: Sequence[tuple[DocumentKind, Document]]

    @property
    def action(self) -> Action:
        """Return what happens to the record."""
        if self.stored is None:
            return "create"
        return "change" if self.changes or self.parts or self.removed else "keep"


def compare(kind: DocumentKind, stored: Document | None, wanted: Document) -> Edit:
    """Return the difference between two documents; without a stored one, everything is new."""
    before, after = {} if stored is None else stored.fields, wanted.fields
    names = [name for name in kind.fields if before.get(name, "") != after.get(name, "")]
    changes = {name: (before.get(name, ""), after.get(name, "")) for name in names}
    parts: list[Edit] = []
    removed: list[tuple[DocumentKind, Document]] = []
    for part in kind.parts:
        rows = () if stored is None else stored.parts.get(part.key, ())
        pairs, others = _pair(part, rows, wanted.parts.get(part.key, ()))
        parts += [compare(part, *pair) for pair in pairs]
        removed += [(part, row) for row in others]
    return Edit(kind, stored, wanted, changes, parts, removed)


def _pair(
    kind: DocumentKind, stored: Sequence[Document], wanted: Sequence[Document]
) -> tuple[list[tuple[Document | None, Document]], list[Document]]:
    """Pair the wanted rows that are not stored as they are with stored ones; return also the stored rows that are left.

    Rows with the same identity are paired in their order.
    """
    by_content, by_identity = defaultdict[Any, list[Document]](list), defaultdict[Any, list[Document]](list)
    for row in stored:
        by_content[row.canonical].append(row)
    others = [row for row in in_order(kind, wanted) if not _take(by_content, row.canonical)]
    for row in in_order(kind, (row for rows in by_content.values() for row in rows)):
        by_identity[identity_of(kind, row)].append(row)
    pairs = [(_take(by_identity, identity_of(kind, row)), row) for row in others]
    return pairs, [row for rows in by_identity.values() for row in rows]


def _take(rows: Mapping[Any, list[Document]], key: Any) -> Document | None:
    """Remove and return the first row with a key, or return None."""
    return rows[key].pop(0) if rows.get(key) else None
