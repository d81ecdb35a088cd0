"""The page about encoded queries names every operator and no other."""

import re

from changegate.services.tables.queries.operator_names import NAMES, OTHER_SPELLINGS
from changegate.services.tables.queries.operators import OPERATORS
from tests.guards.documents import DOCS

ROW = re.compile(r"^\| (?P<names>`.*?`) \| (?P<spellings>.*?) ?\| .* \|$", re.MULTILINE)


def test_every_operator_is_documented_and_no_other() -> None:
    text = (DOCS / "encoded-queries.md").read_text()
    table = text.partition("## Operators")[2].partition("##")[0]
    rows = [(match["names"], match["spellings"]) for match in ROW.finditer(table)]
    names = [name for row in rows for name in re.findall("`(.+?)`", row[0])]
    spellings = [name for row in rows for name in re.findall("`(.+?)`", row[1])]
    assert sorted(names) == sorted(NAMES) == sorted(OPERATORS)
    assert sorted(spellings) == sorted(OTHER_SPELLINGS)
