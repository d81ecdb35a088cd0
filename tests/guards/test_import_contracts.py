"""Who may import whom: the contracts of pyproject.toml hold, and nothing slips between them."""

import ast
import logging.config
import tomllib
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import lint_imports

from tests.guards.source_tree import PLATFORM, PRODUCT, ROOT, parsed, python_files, shown

OUTSIDE_THE_LAYERS = {"__init__"}


@pytest.fixture(autouse=True)
def loggers_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import Linter configures logging, which would switch off every logger that there is."""
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)


def test_the_contracts_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(PLATFORM))
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_a_contract_that_is_broken_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The services do import the models; a contract against it must fail, or the test above proves nothing."""
    contract = tmp_path / "upside-down.toml"
    contract.write_text(
        '[tool.importlinter]\nroot_packages = ["changegate"]\n[[tool.importlinter.contracts]]\n'
        'name = "upside down"\ntype = "layers"\nlayers = ["changegate.models", "changegate.services"]\n'
    )
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(contract), no_cache=True, no_logo=True) == 1
    assert "upside down" in capsys.readouterr().out


def contracts_of_layers() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]


def test_every_module_of_the_product_has_its_layer() -> None:
    [layers] = [contract["layers"] for contract in contracts_of_layers() if "containers" not in contract]
    placed = {name.strip(" ()") for line in layers for name in line.replace("|", ":").split(":")}
    there = {path.stem for path in PRODUCT.iterdir() if path.is_dir() or path.suffix == ".py"}
    expected = {f"changegate.{name}" for name in there - OUTSIDE_THE_LAYERS - {"__pycache__"}}
    assert placed == expected


@pytest.mark.parametrize("container", ["changegate.services", "changegate.services.tables"])
def test_every_package_inside_has_its_layer(container: str) -> None:
    """An exhaustive contract is broken by a package that it does not name."""
    [contract] = [each for each in contracts_of_layers() if each.get("containers") == [container]]
    assert contract["exhaustive"]


def test_no_import_hides_in_a_function() -> None:
    hidden = [
        f"{shown(path)}:{node.lineno} in {function.name}"
        for path in python_files(PLATFORM)
        for function in ast.walk(parsed(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden
