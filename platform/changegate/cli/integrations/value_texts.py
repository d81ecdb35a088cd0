"""Values in words, for somebody at a terminal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from changegate.printable import printable
from changegate.schemas.claim_condition_text import render_condition_text
from changegate.services.integrations.integration_changes import Change

LONGEST = 100


def told_changes(changes: Mapping[str, Change]) -> Iterator[str]:
    """Yield a line for each field that was changed: what it was and what it is."""
    for name, (before, after) in changes.items():
        yield f"{name}: {told(name, before)} -> {told(name, after)}"


def told(name: str, value: Any) -> str:
    """Return a field's value in one line; a long text is shortened, a list never, since one member may matter."""
    text = _text(name, value)
    return f"{text[:LONGEST]}…" if isinstance(value, str) and len(text) > LONGEST else text


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
