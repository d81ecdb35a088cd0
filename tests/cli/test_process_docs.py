"""The examples of docs/process-as-code.md, in their order: commands print what the page shows."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.guards.documents import DOCS, FENCE

PAGE = DOCS / "process-as-code.md"
BINARIES = Path(sys.executable).parent


def test_the_examples_do_what_the_page_shows(
    run_prepared: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(BINARIES), prepend=":")
    shown = [match for match in FENCE.finditer(PAGE.read_text()) if match["language"] in {"yaml", "console"}]
    for block in shown:
        if block["language"] == "yaml":
            Path("process.yaml").write_text(block["code"])
        else:
            _run_console(block["code"], run_prepared)
    assert len(shown) > 5


def _run_console(code: str, run: Run) -> None:
    for example in code.removeprefix("$ ").split("\n$ "):
        command, _, output = example.partition("\n")
        assert _output_of(command, run).strip() == output.strip(), command


def _output_of(command: str, run: Run) -> str:
    if {"|", ">"} & {*command}:
        ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        return ended.stdout + ended.stderr
    program, *arguments = shlex.split(command)
    assert program == "changegate"
    outcome = run(*arguments)
    return outcome.out + outcome.err
