"""Commands run in this process, on the instance of the test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from changegate.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    def assert_refused(self, text: str) -> None:
        """Insist on exit code 1 and one sentence on stderr that holds the text."""
        assert (self.code, self.out) == (1, "")
        assert self.err.startswith("changegate: ") and self.err.count("\n") == 1
        assert text in self.err


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; answers how it ended."""
    monkeypatch.setenv("CHANGEGATE_JWKS_ALLOW_LOOPBACK", "1")

    def ran(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code: Any = ended.value.code
        return Outcome(code or 0, *capsys.readouterr())

    return ran


@pytest.fixture
def run_prepared(run: Run, app: Flask) -> Run:
    """Run a command on a prepared instance."""
    return run
