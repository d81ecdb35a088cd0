"""Differences of the process as text for a terminal, and as values of JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

from changegate.cli.integrations.value_texts import describe_value
from changegate.printable import printable
from changegate.services.process_documents.documents import Document, identity_of
from changegate.services.process_documents.kinds import DocumentKind
from changegate.services.process_files.comparing import Edit
from changegate.services.process_files.rendering import Renderer

DONE = {"create": "created", "change": "changed", "keep": "unchanged"}


def describe_edits(edits: Iterable[Edit], renderer: Renderer) -> Iterator[str]:
    """Yield a line for each record, and below it a line for each difference."""
    for edit in edits:
        yield f"{_name(edit.kind, edit.wanted)}: {DONE[edit.action]}"
        if edit.action == "change":
            yield from (f"  {line}" for line in _differences(edit, "", renderer))


def _differences(edit: Edit, path: str, renderer: Renderer) -> Iterator[str]:
    for field, texts in edit.changes.items():
        old, new = (describe_value(field, _value(edit.kind, field, text, renderer)) for text in texts)
        yield f"{path}{field}: {old} -> {new}"
    for part in edit.parts:
        of_part = f"{path}{_name(part.kind, part.wanted)}: "
        if part.stored is None:
            yield f"{of_part}added"
        else:
            yield from _differences(part, of_part, renderer)
    yield from (f"{path}{_name(kind, row)}: removed" for kind, row in edit.removed)


def edit_values(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Return differences as values of JSON, with the texts of the Table API."""
    return [_values(edit) for edit in edits]


def _values(edit: Edit) -> dict[str, Any]:
    removed = [{"kind": kind.noun, "name": _shown(kind, row), "action": "delete"} for kind, row in edit.removed]
    changes = {name: list(texts) for name, texts in edit.changes.items()}
    described = {"kind": edit.kind.noun, "name": _shown(edit.kind, edit.wanted), "action": edit.action}
    return {**described, "changes": changes, "parts": [*map(_values, edit.parts), *removed]}


def _value(kind: DocumentKind, field: str, text: str, renderer: Renderer) -> Any:
    return text if field in kind.siblings else renderer.render_value(kind.table, field, text)


def _name(kind: DocumentKind, document: Document) -> str:
    return f"{kind.noun} {printable(_shown(kind, document))}"


def _shown(kind: DocumentKind, document: Document) -> str:
    return document.name or document.fields.get(kind.label) or ", ".join(identity_of(kind, document))
