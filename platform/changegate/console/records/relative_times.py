"""Times relative to now, in words such as `7 days ago`, and as they stand in an encoded query: `@day@ago@7`."""

import re
from collections.abc import Mapping

from changegate.services.tables.queries.date_parts import UNITS

_SIDES: Mapping[str, str] = {"ago": "ago", "ahead": "ahead", "from now": "ahead"}
_STORED = re.compile(r"@(?P<unit>[a-z]+)@(?P<side>ago|ahead)@(?P<count>[0-9]{1,6})")
_TYPED = re.compile(r"(?P<count>[0-9]{1,6})\s+(?P<unit>[a-z]+?)s?\s+(?P<side>ago|ahead|from\s+now)")
# What the builder suggests.
EXAMPLES = ("2 hours ago", "1 day ago", "7 days ago", "30 days ago", "3 months ago", "1 day ahead", "7 days ahead")
EXPECTED = "Enter a number, a unit, and ago or ahead, such as 7 days ago or 2 weeks ahead."


def relative_words(stored: str) -> str | None:
    """Return a stored relative time in words, or None if the text is no relative time."""
    found = _STORED.fullmatch(stored)
    if found is None or found["unit"] not in UNITS:
        return None
    count = int(found["count"])
    return f"{count} {found['unit']}{'' if count == 1 else 's'} {found['side']}"


def parse_relative(words: str) -> str | None:
    """Return a relative time as it stands in a query, or None if the words are not one."""
    found = _TYPED.fullmatch(words.strip().lower())
    if found is None or found["unit"] not in UNITS:
        return None
    return f"@{found['unit']}@{_SIDES[' '.join(found['side'].split())]}@{int(found['count'])}"
