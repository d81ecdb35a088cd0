"""The claims of a token for administrators: value, stability, and suitability for a condition."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from changegate.console.integrations.form import show_value
from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.schemas.claim_condition import MAX_VALUE_LENGTH
from changegate.schemas.presets import CLAIM_KINDS, Preset
from changegate.schemas.presets.shape import IMMUTABLE, RENAMABLE, RUN_SPECIFIC
from changegate.services.assertions.condition_linter import ALWAYS_NEW

# Claims with a rule of their own.
CLAIMS_WITH_RULES = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti"})
UNKNOWN = "unknown"
CHECKED = "checked"
KIND_LABELS = {
    IMMUTABLE: "Immutable",
    RENAMABLE: "Can be renamed",
    RUN_SPECIFIC: "New in each run",
    CHECKED: "Checked by its own rule",
    UNKNOWN: "Unknown",
}
NOT_KNOWN = "Whether this value can change is unknown; ask the provider before you pin it."
KIND_ADVICE = {**CLAIM_KINDS, UNKNOWN: NOT_KNOWN}
MAX_CLAIMS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A claim: `name` as in a condition, `kind` a key of `KIND_LABELS`."""

    name: str
    value: Any
    kind: str
    says: str

    @property
    def shown(self) -> str:
        """Return the value as JSON, which shows its type."""
        return json.dumps(self.value, ensure_ascii=False)

    @property
    def label(self) -> str:
        """Return the label of the kind."""
        return KIND_LABELS[self.kind]

    @property
    def advice(self) -> str:
        """Return the advice about conditions on claims of this kind."""
        return KIND_ADVICE.get(self.kind, "")

    @property
    def value_type(self) -> str | None:
        """Return the type of a condition on this value, or None if no condition is possible."""
        return value_type_of(self.value)

    @property
    def is_immutable(self) -> bool:
        """Return whether the value never identifies another subject."""
        return self.kind == IMMUTABLE and self.value_type is not None

    @property
    def can_be_pinned(self) -> bool:
        """Return whether the next token can pass a condition on this value."""
        return self.kind in (IMMUTABLE, RENAMABLE, UNKNOWN) and self.value_type is not None

    def can_be_constrained(self, knows_provider: bool) -> bool:
        """Return whether a condition can be added to an active integration by one click.

        Such a condition is enforced for immutable claims only.
        """
        is_notable = self.kind == UNKNOWN and not knows_provider
        return self.is_immutable or (is_notable and self.value_type is not None)

    @property
    def pin(self) -> str:
        """Return the form step that adds a condition on this value."""
        return "pin " + json.dumps({"claim": self.name, "value": self.value})


def list_claims(claims: Mapping[str, Any], preset: Preset | None) -> list[ClaimLine]:
    """Return the claims of a token, immutable ones first; nested claims have a JSON pointer (RFC 6901) as name."""
    notes = {note.name: note for note in preset.claims} if preset else {}
    lines = []
    for name, value in list(_leaves(claims, ()))[:MAX_CLAIMS_SHOWN]:
        note = notes.get(name)
        kind = note.kind if note else _guess(name)
        lines.append(ClaimLine(name, value, kind, note.says if note else ""))
    order = list(KIND_LABELS)
    return sorted(lines, key=lambda line: order.index(line.kind))


def value_type_of(value: Any) -> str | None:
    """Return the type of a condition on a value, or None if no condition can contain it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string" if _is_typeable(value) else None
    is_list = isinstance(value, list) and value and all(map(_is_typeable, value))
    return "list" if is_list else None


def _is_typeable(value: Any) -> bool:
    # Forms trim text, and conditions cannot contain control characters.
    if not isinstance(value, str) or not 0 < len(value) <= MAX_VALUE_LENGTH:
        return False
    return value.isprintable() and value == value.strip()


def pinned_row(claim: str, value: Any) -> dict[str, Any] | None:
    """Return the form row of a condition on this value, or None if no condition is possible."""
    value_type = value_type_of(value)
    if value_type is None:
        return None
    shown = show_value(value)
    return {"claim": claim, "operator": "equals", "value_type": value_type, "value": shown, "report_only": False}


def _guess(name: str) -> str:
    if name in CLAIMS_WITH_RULES:
        return CHECKED
    return RUN_SPECIFIC if name in ALWAYS_NEW else UNKNOWN


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and len(path) < MAX_JSON_DEPTH:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif path:
        yield _name(path), value


def _name(path: tuple[str, ...]) -> str:
    if len(path) == 1 and not path[0].startswith("/"):
        return path[0]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
