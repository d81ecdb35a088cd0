"""The wheel, installed into an empty environment: each command works without a checkout."""

import os
import subprocess
import sys
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

from tests.guards.source_tree import ROOT
from tests.support.client_environments import run_installer
from tests.support.servers import LONGEST_SECONDS, free_port, serving


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment that holds the built wheel and its declared dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    run_installer(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("changegate-*.whl")
    environment = folder / "environment"
    run_installer(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run_installer(*pip, "install", "--quiet", "--no-compile", "--no-deps", str(wheel))
    (packages,) = environment.glob("lib/python3*/site-packages")
    [installed] = distributions(name="changegate", path=[str(packages)])
    for name in declared_by(installed):
        link(distribution(name), packages)
    return environment / "bin"


def declared_by(installed: Distribution) -> set[str]:
    """Return the names of all distributions that one needs, by what each declares."""
    names: set[str] = set()
    pending = [(installed, "")]
    seen: set[tuple[str, str]] = set()
    while pending:
        needing, extra = pending.pop()
        for requirement in map(Requirement, needing.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            needed = distribution(requirement.name)
            assert requirement.specifier.contains(needed.version), f"{requirement} is not {needed.version}"
            names.add(requirement.name)
            wanted = {(requirement.name, each) for each in ("", *requirement.extras)}
            pending += [(needed, each) for _, each in wanted - seen]
            seen |= wanted
    return names


def link(needed: Distribution, packages: Path) -> None:
    """Let an environment have a distribution as it is installed here: to install it again takes pip far longer."""
    for name in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
        if not (packages / name).exists():
            (packages / name).symlink_to(Path(str(needed.locate_file(name))))


def outside_the_checkout() -> dict[str, str]:
    """Return the environment variables without any that lead to the checkout."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "CHANGEGATE_", "COV"))}


def test_the_demo_runs_its_steps_and_the_provider_has_its_command(programs: Path, tmp_path: Path) -> None:
    command = [programs / "changegate", "demo", "--once", "--port", str(free_port()), "--idp-port", str(free_port())]
    story = subprocess.run(
        command,
        cwd=tmp_path,
        env=outside_the_checkout(),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert story.returncode == 0, story.stdout + story.stderr
    assert "CHG0030037" in story.stdout
    assert (tmp_path / "instance" / "demo" / "changegate.db").is_file()
    provider = subprocess.run([programs / "demo-idp", "--help"], capture_output=True, text=True, check=True)
    assert "serve" in provider.stdout


def test_an_instance_of_its_own_is_served(programs: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [str(programs / "changegate"), "serve", "--port", str(port)]
    with serving(command, f"http://127.0.0.1:{port}/readyz", outside_the_checkout(), cwd=tmp_path):
        page = requests.get(f"http://127.0.0.1:{port}/login", timeout=LONGEST_SECONDS)
    assert (page.status_code, 'name="csrf_token"' in page.text) == (200, True)
    assert (tmp_path / "instance" / "changegate.db").is_file()


def test_nothing_that_tests_or_lints_is_installed(programs: Path) -> None:
    script = "from importlib.util import find_spec; print([n for n in ('pytest', 'ruff', 'mypy') if find_spec(n)])"
    found = subprocess.run([programs / "python", "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_templates_of_the_snippets_are_installed(programs: Path) -> None:
    script = (
        "from changegate.services.integrations.snippets import SnippetContext, list_snippets\n"
        "target = SnippetContext('CLIENT', True, 'AUDIENCE', 'ISSUER', 'BASE', preset='okta')\n"
        "print(len(list_snippets(target)))"
    )
    command = [programs / "python", "-c", script]
    found = subprocess.run(command, env=outside_the_checkout(), capture_output=True, text=True, check=True)
    assert int(found.stdout) > 10
