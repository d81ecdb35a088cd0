"""Error messages of a schema, by field."""

from typing import Any

from marshmallow import ValidationError


def field_errors(problem: ValidationError) -> dict[str, list[str]]:
    """Return the messages by field, without the nesting of list items."""
    return {name: _flat(messages) for name, messages in problem.messages_dict.items()}


def _flat(messages: Any) -> list[str]:
    if isinstance(messages, dict):
        return list(dict.fromkeys(text for inner in messages.values() for text in _flat(inner)))
    return [str(text) for text in messages]
