"""Reading a file of the process: its records and their rows, each value with its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from changegate.errors import ChangegateError, RequestUnreadable
from changegate.services.process_documents.kinds import KINDS, NAME, DocumentKind
from changegate.services.tables.values import text_of
from changegate.yaml_text import (
    Place,
    Placed,
    Unreadable,
    list_items,
    mapping_items,
    parse_yaml,
    read_mapping,
    render_place,
)

FORMAT, FORMAT_NUMBER = "format", 1
# Marks a record that every instance has. It is only named, because it is read-only.
SHIPPED_MARK = "shipped"
READ_ONLY = "The record is shipped and read-only. Give it another name, and remove `shipped`."
NOT_PLAIN = "A text, a number, true, false, or null is expected; where there can be several records, a list of texts."
UNKNOWN = "Unknown key; use one of {}."
Problems = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A record or row in a file; `parts` are the rows that belong to it, by the key of their list."""

    kind: DocumentKind
    file: str
    placed: Placed
    parts: Mapping[str, Sequence["FileRecord"]]

    @property
    def name(self) -> str:
        """The name as text, empty if it is missing or cannot be a name."""
        name = self.placed.value.get(NAME)
        try:
            return "" if isinstance(name, list | dict) else text_of(NAME, name) or ""
        except RequestUnreadable:
            return ""

    @property
    def is_shipped(self) -> bool:
        """Return whether the record is only named."""
        return SHIPPED_MARK in self.placed.value

    def explain(self, problems: Problems) -> list[str]:
        """Return a line for each field with problems, with its place in the file."""
        return list(self.placed.explain(self.file, problems))

    def refuse(self, sentence: str) -> ChangegateError:
        """Return a refusal of the whole record, with its place in the file."""
        name = f"{self.kind.noun} {self.name}" if self.name else self.kind.noun
        place = self.placed.keys.get(NAME, self.placed.place)
        return ChangegateError("\n".join(Placed(None, place, {}).explain(self.file, {name: [sentence]})))


def read_process_file(text: str, *, shown_as: str) -> list[FileRecord]:
    """Return the records of a file in the order of their kinds. Raises `ChangegateError` with all invalid keys."""
    try:
        lists = _lists(text)
        records = [_record(kind, node, shown_as) for kind in KINDS for node in lists.get(kind.key, ())]
        _require_names_of_their_own(records)
    except Unreadable as problem:
        raise ChangegateError(f"{shown_as}, {problem.message}") from None
    if problems := [line for record in records for line in _problems(record)]:
        raise ChangegateError("\n".join(problems))
    return records


def _lists(text: str) -> dict[str, list[yaml.Node]]:
    keys = ", ".join(kind.key for kind in KINDS)
    root = parse_yaml(text)
    if root is None:
        raise Unreadable((1, 1), f"Write the records as lists under {keys}.")
    items = mapping_items(root)
    # First: what a later format adds is unknown here.
    for key, place, node in items:
        if key == FORMAT and getattr(node, "value", None) != str(FORMAT_NUMBER):
            raise Unreadable(place, f"This release reads format {FORMAT_NUMBER}. Upgrade, or export the file again.")
    for key, place, _ in items:
        if key not in {FORMAT, *(kind.key for kind in KINDS)}:
            raise Unreadable(place, UNKNOWN.format(keys))
    return {key: list_items(node) for key, _, node in items if key != FORMAT}


def _record(kind: DocumentKind, node: yaml.Node, file: str) -> FileRecord:
    nodes = {key: value for key, _, value in mapping_items(node)}
    parts = {part.key: nodes[part.key] for part in kind.parts if part.key in nodes}
    rows = {key: [_record(kind.part(key), row, file) for row in list_items(each)] for key, each in parts.items()}
    return FileRecord(kind, file, read_mapping(node), rows)


def _require_names_of_their_own(records: Sequence[FileRecord]) -> None:
    seen: dict[tuple[str, str], Place] = {}
    for record in records:
        key, place = (record.kind.key, record.name), record.placed.keys.get(NAME, record.placed.place)
        if record.name and key in seen:
            raise Unreadable(place, f"The name is already used in {render_place(seen[key])}.")
        seen[key] = place


def _problems(record: FileRecord) -> Iterator[str]:
    """Yield a line for each key that a record cannot have or lacks, and for each value that is not plain."""
    kind, given = record.kind, record.placed.value
    marks = () if kind.owner else (SHIPPED_MARK,)
    known = (*kind.fields, *(part.key for part in kind.parts), *marks)
    problems = {key: [UNKNOWN.format(", ".join(known))] for key in given if key not in known}
    for key in kind.fields:
        if key in given and not _is_plain(given[key], is_list=kind.table.entries[key].kind == "glide_list"):
            problems[key] = [NOT_PLAIN]
    for key in kind.identity:
        is_optional = key in kind.defaults or kind.table.source.c[key].nullable
        if given.get(key) in (None, "") and not is_optional:
            problems[key] = ["This key is required."]
    if record.is_shipped and (given[SHIPPED_MARK] is not True or given.keys() > {NAME, SHIPPED_MARK}):
        problems[SHIPPED_MARK] = [READ_ONLY]
    yield from record.explain(problems)
    for rows in record.parts.values():
        for row in rows:
            yield from _problems(row)


def _is_plain(value: object, *, is_list: bool) -> bool:
    if isinstance(value, list):
        return is_list and all(isinstance(item, str) for item in value)
    return not isinstance(value, dict)
