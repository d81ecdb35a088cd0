"""requirements.txt is the one list of dependencies: bounded, complete, and it installs the product itself."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.guards.source_tree import PLATFORM, ROOT, parsed, python_files, shown

LINES = (ROOT / "requirements.txt").read_text().splitlines()
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9-]+)(?:\[[a-z]+\])?(?P<bounds>[^#]*)")
FIRST_PARTY = {"changegate", "demo_idp", "tests", "app"}
# Clients, identity providers and peers that run in environments of their own (docs/clients.md).
FILES_APART = sorted((ROOT / "tests").rglob("*.txt"))
APART = [line for path in FILES_APART for line in path.read_text().splitlines()]


def requirements() -> list[re.Match[str]]:
    return [match for line in (*LINES[:-1], *APART) if (match := REQUIREMENT.fullmatch(line))]


def normalised(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_the_last_line_installs_the_product() -> None:
    assert LINES[-1] == "-e ."


def test_every_line_is_a_requirement_or_a_comment() -> None:
    assert not [line for line in (*LINES[:-1], *APART) if not line.startswith("#") and not REQUIREMENT.fullmatch(line)]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda match: str(match["name"]))
def test_a_requirement_is_bounded_on_both_sides(requirement: re.Match[str]) -> None:
    assert re.fullmatch(r">=[0-9.]+,<[0-9.]+", requirement["bounds"].strip())


@pytest.mark.parametrize("path", [ROOT / "requirements.txt", *FILES_APART], ids=shown)
def test_no_requirement_is_listed_twice(path: Path) -> None:
    matches = map(REQUIREMENT.fullmatch, path.read_text().splitlines())
    names = [normalised(match["name"]) for match in matches if match]
    assert len(names) == len(set(names))


def test_every_import_is_a_direct_requirement() -> None:
    """What is only there because another package brings it disappears when that package changes its mind."""
    required = {normalised(match["name"]) for match in requirements()}
    distributions = packages_distributions()
    missing = {
        f"{name} in {where}"
        for name, where in imported_packages().items()
        # What is not installed here goes by the name that it is imported by.
        if not required & {normalised(found) for found in distributions.get(name, (name,))}
    }
    assert not missing


def imported_packages() -> dict[str, str]:
    """Return each foreign package and one file that imports it."""
    found: dict[str, str] = {}
    for path in python_files(PLATFORM, ROOT / "tests", ROOT / "migrations"):
        for node in ast.walk(parsed(path)):
            for name in top_level_names(node):
                if name not in FIRST_PARTY and name not in sys.stdlib_module_names:
                    found.setdefault(name, shown(path))
    return found


def top_level_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [(node.module or "").partition(".")[0]]
    return []
