"""Every flaw that is listed has the tests that name it, and every test of a regression is listed."""

import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.guards.documents import CODE, DOCS
from tests.guards.source_tree import ROOT
from tests.regressions.conftest import pytest_itemcollected

FOLDER = ROOT / "tests" / "regressions"
PAGE = DOCS / "regressions.md"
ROW = re.compile(r"^\| (?P<flaw>[^|]+) \| (?P<story>[^|]+) \| (?P<tests>`[^|]+`) \|$", re.MULTILINE)


def regressions() -> Iterator[tuple[str, Any]]:
    """Return every test function, by its file and name."""
    for path in sorted(FOLDER.glob("test_*.py")):
        module = importlib.import_module(f"tests.regressions.{path.stem}")
        for name, function in vars(module).items():
            if name.startswith("test_"):
                yield f"{path.name}::{name}", function


def flaws_of(function: Any) -> set[str]:
    """Return the flaws that a test is marked with, as a whole or in one of its cases."""
    marks = list(getattr(function, "pytestmark", ()))
    cases = [case for mark in marks if mark.name == "parametrize" for case in mark.args[1]]
    marks += [mark for case in cases for mark in getattr(case, "marks", ())]
    return {flaw for mark in marks if mark.name == "regression" for flaw in mark.args}


def marked() -> dict[str, set[str]]:
    found = defaultdict(set)
    for name, function in regressions():
        for flaw in flaws_of(function):
            found[flaw].add(name)
    return dict(found)


def rows() -> list[re.Match[str]]:
    return list(ROW.finditer(PAGE.read_text()))


def test_every_flaw_has_the_tests_that_the_page_names_and_no_other() -> None:
    assert {row["flaw"]: set(CODE.findall(row["tests"])) for row in rows()} == marked()


def test_no_flaw_is_listed_twice_and_none_without_its_story() -> None:
    flaws = [row["flaw"] for row in rows()]
    assert len(flaws) == len(set(flaws))
    assert not [row["flaw"] for row in rows() if len(row["story"].split()) < 4]


def test_every_line_of_a_table_is_read() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(lines) - len(rows()) == lines.count("| Flaw | What went wrong | Shown by |") > 0


def test_every_test_of_a_regression_names_a_flaw() -> None:
    assert not [name for name, function in regressions() if not flaws_of(function)]


def test_a_flaw_is_found_by_its_name() -> None:
    item = SimpleNamespace(
        extra_keyword_matches=set(),
        iter_markers=lambda name: [mark for mark in marks if mark.name == name],
    )
    marks = [
        pytest.mark.regression("CVE-2022-21449", "keycloak#38576").mark,
        pytest.mark.regression("RFC 7515 §4").mark,
    ]
    pytest_itemcollected(cast("pytest.Item", item))
    assert item.extra_keyword_matches == {"CVE_2022_21449", "keycloak_38576", "RFC_7515_4"}
