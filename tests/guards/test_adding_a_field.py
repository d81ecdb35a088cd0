"""The page on adding a field, step by step: a copy of the product with the field of the page has it everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from tests.guards.documents import DOCS, blocks
from tests.guards.source_tree import ROOT

PAGE = DOCS / "adding-a-field.md"
MODELS = Path("platform/changegate/models")
# The lines before which the entry and the column go.
COMMENTS = '    Field("comments"'
ISSUER = "    issuer: Mapped"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with what the page shows, and with nothing else."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("platform", "migrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    entry, column = (indent(block, "    ") for block in blocks(PAGE, "python"))
    added = (("integration_fields.py", COMMENTS, f"{entry.rstrip()},\n"), ("oauth_entity.py", ISSUER, column))
    for name, line, text in added:
        source = (folder / MODELS / name).read_text()
        assert source.count(line) == 1
        (folder / MODELS / name).write_text(source.replace(line, text + line))
    return folder


@pytest.fixture(scope="module")
def found(copy: Path) -> dict[str, Any]:
    """What each place of the copy shows of the field."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.guards.added_field", str(copy / "instance")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{copy / 'platform'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_the_migration_adds_the_column(copy: Path, found: dict[str, Any]) -> None:
    [migration] = copy.glob("migrations/versions/9999*.py")
    assert "add_column(sa.Column('cost_center', sa.String(length=40), nullable=True))" in migration.read_text()


def test_the_commands_have_an_option(found: dict[str, Any]) -> None:
    assert "--cost-center TEXT The cost center that pays for the pipeline." in found["help"]
    assert found["created"] == "A-1"
    assert "cost_center: A-1 -> A-2" in found["updated"]
    assert "cost_center: A-3" in found["shown"]


def test_the_file_has_it(found: dict[str, Any]) -> None:
    assert found["applied"] == "Pipeline: changed\n  cost_center: A-2 -> A-3\n"


def test_the_admin_api_has_it_and_describes_it(found: dict[str, Any]) -> None:
    assert (found["read"], found["changed"]) == ("A-3", "A-4")
    assert "At most 40 characters." in found["refused"]
    described = {"title": "Cost center", "description": "The cost center that pays for the pipeline.", "maxLength": 40}
    assert described.items() <= found["described"].items()


def test_the_form_shows_it_and_saves_it(found: dict[str, Any]) -> None:
    [label] = [line for line in found["page"].splitlines() if 'for="cost_center"' in line]
    assert "Cost center" in label
    assert 'name="cost_center" value="A-4"' in found["page"]
    assert "The cost center that pays for the pipeline." in found["page"]
    assert found["page"].index('id="review_date"') < found["page"].index('id="cost_center"')
    assert found["saved"] == "A-5"


def test_the_history_and_a_stale_form_show_it(found: dict[str, Any]) -> None:
    assert [new for _, new in found["history"]] == ["A-2", "A-3", "A-4", "A-5"]
    assert '<th scope="row">Cost center</th>' in found["stale"]
    assert all(value in found["stale"] for value in ("A-4", "A-5", "A-6"))
