"""The examples of docs/clients.md run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.guards.documents import DOCS, blocks
from tests.support.client_environments import client_programs
from tests.support.servers import Running

PAGE = DOCS / "clients.md"
HERE = Path(__file__).parent
OURS = Path(sys.executable).parent
NUMBER = re.compile(r"CHG[0-9]{7,}")


@pytest.fixture
def environment(server: Running, ca: Path, tmp_path: Path) -> dict[str, str]:
    """What the page says is in the environment, and the programs of every environment on the path."""
    apart = (client_programs(HERE / f"{name}.txt") for name in ("mcp-server-servicenow", "aiosnow"))
    programs = os.pathsep.join(map(str, (OURS, *apart)))
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "CHANGEGATE": server.url,
        "USER_NAME": USER_NAME,
        "USER_PASSWORD": PASSWORD,
        "SSL_CERT_FILE": str(ca),
        "REQUESTS_CA_BUNDLE": str(ca),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("code", blocks(PAGE, "python"))
def test_an_example_in_python_creates_a_change(code: str, environment: dict[str, str]) -> None:
    folder = client_programs(HERE / "aiosnow.txt") if "aiosnow" in code else OURS

    assert NUMBER.fullmatch(run([str(folder / "python"), "-c", code], environment).strip())


@pytest.mark.parametrize("script", blocks(PAGE, "bash"))
def test_an_example_in_the_shell_works(script: str, environment: dict[str, str]) -> None:
    printed = run(["bash", "-euo", "pipefail", "-c", script], environment)

    assert NUMBER.search(printed) or "result: OK" in printed


def test_every_client_that_is_tested_has_its_line() -> None:
    tests = {f"tests/clients/{path.name}" for path in HERE.glob("test_*.py")}
    assert not [name for name in tests if f"`{name}`" not in PAGE.read_text()]
