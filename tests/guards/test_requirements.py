"""pyproject.toml is the one list of dependencies: bounded, complete, and parted by what needs them."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.guards.source_tree import ROOT, parsed, python_files, shown

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TO_RUN: list[str] = PROJECT["dependencies"]
TO_DEVELOP: list[str] = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9-]+)(?:\[[a-z]+\])?(?P<bounds>[^#]*)")
FIRST_PARTY = {"changegate", "demo_idp", "tests", "benchmarks", "app"}
# Clients, identity providers and peers that run in environments of their own (docs/clients.md).
FILES_APART = sorted(path for folder in ("benchmarks", "tests") for path in (ROOT / folder).rglob("*.txt"))
APART = [line for path in FILES_APART for line in path.read_text().splitlines() if not line.startswith("#")]


def normalised(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> list[str]:
    return [normalised(match["name"]) for line in requirements if (match := REQUIREMENT.fullmatch(line))]


def test_a_checkout_installs_the_product_with_its_tests_and_linters() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-e .[test,lint]"]


def test_every_requirement_is_bounded_on_both_sides() -> None:
    bounds = {line: REQUIREMENT.fullmatch(line) for line in (*TO_RUN, *TO_DEVELOP, *APART)}
    bounded = r">=[0-9.]+,<[0-9.]+"
    assert not [line for line, match in bounds.items() if not match or not re.fullmatch(bounded, match["bounds"])]


def test_no_requirement_is_listed_twice() -> None:
    listed = names(TO_RUN + TO_DEVELOP)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("folders", "requirements"),
    [(("platform", "migrations"), TO_RUN), (("benchmarks", "tests"), TO_RUN + TO_DEVELOP + APART)],
    ids=["to run the product", "to test it"],
)
def test_every_import_is_a_direct_requirement(folders: tuple[str, ...], requirements: list[str]) -> None:
    """A package that only another package installs disappears when that package stops needing it."""
    required = set(names(requirements))
    distributions = packages_distributions()
    missing = {
        f"{name} in {where}"
        for name, where in imported_packages(*(ROOT / folder for folder in folders)).items()
        # A package that is not installed here is known by the name that it is imported by.
        if not required & {normalised(distribution) for distribution in distributions.get(name, (name,))}
    }
    assert not missing


def imported_packages(*folders: Path) -> dict[str, str]:
    """Return each foreign package and one file that imports it."""
    packages: dict[str, str] = {}
    for path in python_files(*folders):
        for node in ast.walk(parsed(path)):
            for name in top_level_names(node):
                if name not in FIRST_PARTY and name not in sys.stdlib_module_names:
                    packages.setdefault(name, shown(path))
    return packages


def top_level_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [(node.module or "").partition(".")[0]]
    return []
