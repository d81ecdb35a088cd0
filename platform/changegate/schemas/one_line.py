"""The validation of one-line text."""

from marshmallow import ValidationError

CONTROL_CHARACTERS = "Control characters are not allowed."


def is_one_line(text: str) -> None:
    """Refuse text with characters that are not printable; raises `ValidationError`."""
    # Bidirectional controls are not printable either, so one name cannot be made to look like another.
    if not text.isprintable():
        raise ValidationError(CONTROL_CHARACTERS)
