"""Text of one line: the check that every field without line breaks has."""

from marshmallow import ValidationError

CONTROL_CHARACTERS = "Control characters are not allowed."


def is_one_line(text: str) -> None:
    """Refuse a text with characters that are not printable; raises `ValidationError`."""
    # Characters that change the direction of writing are not printable either: one name must not look like another.
    if not text.isprintable():
        raise ValidationError(CONTROL_CHARACTERS)
