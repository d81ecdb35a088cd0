"""Turns of phrase that made readers stop, and do not come back in sources, pages, and documents."""

import re

from tests.guards.documents import documents
from tests.guards.source_tree import PLATFORM, shown, text_files

PHRASES = re.compile(
    r"\b(anew|whoever|look-alikes?|(is|are) worth|buys|bought|(this|the) desk|he (is|has|may)|none of the \w+s'"
    r"|(?<!there )is no (text|number|string|key|date|token|user|field|JSON|XML|YAML)|(is|are) none of)\b",
    re.IGNORECASE,
)


def test_no_text_uses_a_phrase_that_readers_stumble_over() -> None:
    found = [
        f"{shown(path)}:{number}: {match[0]}"
        for path in (*documents(), *text_files(PLATFORM))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in PHRASES.finditer(line)
    ]
    assert not found
