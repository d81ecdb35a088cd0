"""The house keeps its shape, and the standard library keeps its `platform`."""

import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from tests.guards.source_tree import BESIDE_THE_PRODUCT, PLATFORM, PRODUCT, ROOT, kept_children, python_files, shown

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "Makefile",
    "README.md",
    "app.py",
    "benchmarks",
    "docs",
    "instance",
    "migrations",
    "platform",
    "pyproject.toml",
    "requirements.txt",
    "tests",
}
# More than a reader can look through.
MOST_MODULES = 45
PACKAGES = {"api", "cli", "console", "database", "models", "schemas", "seed", "server", "services"}


def test_the_top_level_holds_what_the_card_names_and_nothing_else() -> None:
    assert kept_children(ROOT) == TOP_LEVEL


def test_the_instance_folder_is_kept_empty() -> None:
    assert kept_children(ROOT / "instance") == {".gitkeep"}


def test_the_source_root_holds_the_two_packages_and_no_module() -> None:
    found = kept_children(PLATFORM)
    assert found == {"changegate", "demo_idp"}
    assert not list(PLATFORM.glob("*.py*"))


def test_no_test_package_is_called_platform() -> None:
    assert not (ROOT / "tests" / "platform").exists()


def test_every_package_of_the_design_exists() -> None:
    folders = {path.name for path in PRODUCT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == PACKAGES


@pytest.mark.parametrize("command", [("-c",), ("-P", "-c")], ids=["with the working directory", "without it"])
def test_platform_is_the_standard_librarys(command: tuple[str, ...]) -> None:
    script = "import platform; print(platform.__file__); platform.python_version()"
    run = subprocess.run([sys.executable, *command, script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()).parent == Path(sysconfig.get_path("stdlib"))


def test_every_folder_of_the_packages_is_a_package() -> None:
    folders = {path.parent for path in python_files(PLATFORM, *BESIDE_THE_PRODUCT)}
    assert not [shown(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_no_folder_holds_too_many_modules() -> None:
    counts = Counter(path.parent for path in python_files(PLATFORM, *BESIDE_THE_PRODUCT) if path.name != "__init__.py")
    assert not {shown(folder): count for folder, count in counts.items() if count > MOST_MODULES}


def test_nothing_is_called_after_what_has_no_name() -> None:
    banned = {"utils", "util", "common", "misc", "helpers"}
    named = [
        shown(path) for path in python_files(PLATFORM, *BESIDE_THE_PRODUCT) if banned & {path.stem, path.parent.name}
    ]
    assert not named
