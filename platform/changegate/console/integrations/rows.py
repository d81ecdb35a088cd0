"""Repeated rows of a form, each with its own fields, such as `conditions-0-claim=…`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow.exceptions import SCHEMA
from werkzeug.datastructures import MultiDict

MAX_ROWS = 100
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowKind:
    """The fields of a row: texts with their blank values, and checkboxes.

    A row in which only `choices` are filled in counts as blank, since those are never empty.
    """

    name: str
    texts: Mapping[str, str]
    boxes: Mapping[str, bool]
    choices: frozenset[str] = frozenset()

    def blank(self) -> dict[str, Any]:
        """Return a blank row."""
        return {**self.texts, **self.boxes}

    def is_blank(self, row: Row) -> bool:
        """Return whether a row is blank."""
        return not any(str(row[name]).strip() for name in self.texts if name not in self.choices)

    def read(self, sent: MultiDict[str, str]) -> list[dict[str, Any]]:
        """Return the rows of a form in the order of their numbers, which may have gaps."""
        prefixes = [f"{self.name}-{number}-" for number in sorted(self._numbers(sent))[:MAX_ROWS]]
        return [self._read_one(prefix, sent) for prefix in prefixes]

    def _read_one(self, prefix: str, sent: MultiDict[str, str]) -> dict[str, Any]:
        texts = {name: sent.get(prefix + name, usual) for name, usual in self.texts.items()}
        return texts | {name: prefix + name in sent for name in self.boxes}

    def _numbers(self, sent: MultiDict[str, str]) -> set[int]:
        pattern = re.compile(rf"{self.name}-([0-9]{{1,4}})-[a-z_]+", re.ASCII)
        return {int(match[1]) for name in sent if (match := pattern.fullmatch(name))}

    def filled(self, rows: Sequence[Row]) -> list[tuple[int, dict[str, Any]]]:
        """Return the rows that are not blank, each with its index in the form."""
        return [(place, dict(row)) for place, row in enumerate(rows) if not self.is_blank(row)]

    def errors(self, messages: Any, places: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
        """Yield form field and messages of a schema's errors; errors of all rows have the name of the rows."""
        if not isinstance(messages, Mapping):
            yield self.name, [str(text) for text in messages]
            return
        for number, of_row in messages.items():
            if number == SCHEMA:
                yield self.name, _flat(of_row)
                continue
            for name, texts in of_row.items():
                is_shown = name in self.texts or name in self.boxes
                field = f"{self.name}-{places[number]}-{name}" if is_shown else self.name
                yield field, _flat(texts)


def _flat(messages: Any) -> list[str]:
    """Return the messages of a field; messages of list items are merged without duplicates."""
    if isinstance(messages, Mapping):
        return list(dict.fromkeys(text for inner in messages.values() for text in _flat(inner)))
    return [str(text) for text in messages]


CLAIM_CONDITIONS = RowKind(
    "claim_conditions",
    texts={"claim": "", "operator": "equals", "value_type": "string", "value": ""},
    boxes={"report_only": False},
    choices=frozenset({"operator", "value_type"}),
)
VERIFIER_MAPS = RowKind(
    "verifier_maps",
    texts={"name": "", "kid": "", "certificate": "", "shared_key": ""},
    boxes={"enforce_dates": True},
)
# Those of the quick setup: `is_given` rows come from a token and count if they are ticked, others if they have a value.
SETUP_CONDITIONS = RowKind(
    "conditions",
    texts={"claim": "", "value_type": "string", "value": ""},
    boxes={"is_given": False, "is_used": False},
    choices=frozenset({"value_type"}),
)
SCOPE_RULES = RowKind(
    "rules",
    texts={"rest_api": "now/table", "http_method": "GET", "version": "*", "table": "", "writable_fields": ""},
    boxes={"own_records": False, "active": True},
)
# Those of the integration form.
ROW_KINDS = {kind.name: kind for kind in (CLAIM_CONDITIONS, VERIFIER_MAPS)}
