"""Phrases that the style of this repository rules out, in sources, names, pages, and documents."""

import re

from tests.guards.documents import documents
from tests.guards.source_tree import BESIDE_THE_PRODUCT, PLATFORM, ROOT, shown, text_files

TREES = (PLATFORM, *BESIDE_THE_PRODUCT, ROOT / "migrations")
NOUNS = "audience|certificate|condition|date|field|json|key|number|scope|string|table|text|token|type|user|xml|yaml"
# The letters around a phrase: an underscore separates words as a space does, so names are read as well.
PHRASES = re.compile(
    r"(?<![a-z0-9])("
    r"anew|whoever|look-?alikes?|strangers?|patience|in a (hurry|rush)|rush|(is|are) worth|buys?|bought|(this|the) desk"
    r"|he (is|has|may|knows)|none of the \w+s'|tell whether|let in|honest|keeps? nobody|that nobody|to everybody"
    rf"|(?<!there )is no ({NOUNS})|(is|are) none of|(that|who) (is|are) (?-i:none)"
    r")(?![a-z0-9])",
    re.IGNORECASE,
)


def test_no_text_or_name_uses_a_phrase_that_the_style_rules_out() -> None:
    found = [
        f"{shown(path)}:{number}: {match[0]}"
        for path in (*documents(), ROOT / "pyproject.toml", *(path for tree in TREES for path in text_files(tree)))
        if path.name != "test_wording.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in PHRASES.finditer(line.replace("_", " "))
    ]
    assert not found
