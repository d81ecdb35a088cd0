"""Rendering records of the process as a file: names instead of sys_ids, without defaults."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.process_documents.documents import Document, identity_of
from changegate.services.process_documents.kinds import ACTIVE, NAME, DocumentKind
from changegate.services.process_files.reading import FORMAT, FORMAT_NUMBER, SHIPPED_MARK
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.references import resolve_references
from changegate.yaml_text import render_item

HEAD = f"# The change process, for `changegate process apply`.\n{FORMAT}: {FORMAT_NUMBER}\n"
Documents = Mapping[DocumentKind, Sequence[Document]]


class Renderer:
    """Renders values as a file has them; remembers the names of records."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._names: dict[tuple[str, str, str], str] = {}

    def render_file(self, documents: Documents, *, shipped_in_full: bool = False) -> str:
        """Return the text of a file. Shipped records are only named unless they are wanted in full."""
        lists = [
            f"\n{kind.key}:\n" + "\n".join(render_item(self._fields(kind, each, shipped_in_full)) for each in of_kind)
            for kind, of_kind in documents.items()
            if of_kind
        ]
        return HEAD + "".join(lists)

    def _fields(self, kind: DocumentKind, document: Document, shipped_in_full: bool) -> dict[str, Any]:
        if document.is_shipped and not shipped_in_full:
            return {NAME: document.name, SHIPPED_MARK: True}
        return self._content(kind, document, {})

    def _content(self, kind: DocumentKind, document: Document, siblings: Documents) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name in kind.fields:
            text = document.fields.get(name, "")
            if name in kind.siblings:
                content[name] = _name_of_sibling(text, siblings, kind.siblings[name])
            elif (name == ACTIVE and not kind.owner) or text != kind.defaults.get(name, ""):
                content[name] = self.render_value(kind.table, name, text)
        rows: dict[DocumentKind, Sequence[Document]] = {}
        for part in kind.parts:
            rows[part] = document.parts.get(part.key, ())
            if rows[part]:
                content[part.key] = [self._content(part, row, rows) for row in rows[part]]
        return content

    def render_value(self, table: Table, name: str, text: str) -> Any:
        """Return the value of a field for YAML."""
        entry = table.entries[name]
        if text == "":
            return None
        if entry.kind == "boolean":
            return text == "true"
        if entry.kind == "integer":
            return int(text)
        if entry.kind == "reference":
            return self._name(table, name, text)
        return [self._name(table, name, item) for item in text.split(",")] if entry.kind == "glide_list" else text

    def _name(self, table: Table, field: str, sys_id: str) -> str:
        """Return the name by which the record that a field refers to is found; its sys_id if it has no such name."""
        key = (table.name, field, sys_id)
        if key not in self._names:
            name = _stored_name(str(table.entries[field].reference), sys_id)
            try:
                is_found = name and resolve_references(table, self._caller, {field: name})[field] == sys_id
            except RequestUnreadable:
                is_found = False
            self._names[key] = name if name and is_found else sys_id
        return self._names[key]


def _stored_name(target: str, sys_id: str) -> str | None:
    table = get_table(target)
    column = table.source.c[table.login_field or table.display_field]
    name: str | None = connection().execute(select(column).where(table.source.c["sys_id"] == sys_id)).scalar()
    return name


def _name_of_sibling(identity: str, siblings: Documents, key: str) -> Any:
    """Return the label of a row of the same record if it names no other row, otherwise its identity."""
    part = next(each for each in siblings if each.key == key)
    identities = {",".join(identity_of(part, row)): row.fields.get(part.label, "") for row in siblings[part]}
    label, labels = identities.get(identity), list(identities.values())
    return label if label and label not in identities and labels.count(label) == 1 else identity


def named(documents: Documents, names: Iterable[str]) -> Documents:
    """Return the documents with one of some names."""
    wanted = {*names}
    return {kind: [each for each in of_kind if each.name in wanted] for kind, of_kind in documents.items()}
