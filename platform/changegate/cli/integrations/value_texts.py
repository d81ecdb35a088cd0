"""Values of fields as text for a terminal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from changegate.printable import printable
from changegate.schemas.claim_condition_text import render_condition_text
from changegate.services.integrations.integration_changes import Change

LONGEST_VALUE = 100


def describe_changes(changes: Mapping[str, Change]) -> Iterator[str]:
    """Yield a line for each changed field, with its old and new value."""
    for name, (before, after) in changes.items():
        yield f"{name}: {describe_value(name, before)} -> {describe_value(name, after)}"


def describe_value(name: str, value: Any) -> str:
    """Return the value of a field in one line. A long text is shortened; a list is not, since every member matters."""
    text = _text(name, value)
    return f"{text[:LONGEST_VALUE]}…" if isinstance(value, str) and len(text) > LONGEST_VALUE else text


def _text(name: str, value: Any) -> str:
    if value in (None, "", []):
        return "nothing"
    if isinstance(value, list):
        return ", ".join(_member(name, member) for member in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(" ".join(str(value).split()))


def _member(name: str, member: Any) -> str:
    if name == "claim_conditions":
        return f"'{render_condition_text(member)}'"
    return printable(member) if isinstance(member, str) else json.dumps(member)
