"""What a schema refuses, as texts by field."""

from typing import Any

from marshmallow import ValidationError


def field_errors(problem: ValidationError) -> dict[str, list[str]]:
    """Return the texts of each field; those of a list's items come nested by position."""
    return {name: _flat(messages) for name, messages in problem.messages_dict.items()}


def _flat(messages: Any) -> list[str]:
    if isinstance(messages, dict):
        return list(dict.fromkeys(text for inner in messages.values() for text in _flat(inner)))
    return [str(text) for text in messages]
