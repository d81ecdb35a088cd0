"""Environments of their own for clients that cannot, or need not, be installed beside the product."""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "clients"
INSTALL_SECONDS = 300
# A test lets its clients trust the product's CA, but pip must not: it gets the original environment.
ENVIRONMENT = dict(os.environ)


def client_programs(requirements: Path, where: Path = FOLDER) -> Path:
    """Return the folder of programs of an environment with what a file requires; made once, then kept."""
    folder = where / requirements.stem
    make_once(folder, requirements.read_text(), lambda: _make(folder, requirements))
    return folder / "bin"


def make_once(folder: Path, recipe: str, make: Callable[[], None]) -> None:
    """Create a folder again unless the same Python created it with the same packages."""
    wanted = f"{sys.version}\n{recipe}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        # Two runs of the tests may want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_made(folder, wanted):
            shutil.rmtree(folder, ignore_errors=True)
            make()
            (folder / "made-for").write_text(wanted)


def _is_made(folder: Path, wanted: str) -> bool:
    note = folder / "made-for"
    return note.is_file() and note.read_text() == wanted


def _make(folder: Path, requirements: Path) -> None:
    run_installer(sys.executable, "-m", "venv", "--without-pip", str(folder))
    # Packages of ours that suit them are not installed again, which takes half of the time.
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))
    # Our own pip installs there: a pip for each environment would double the time.
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install")
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    run_installer(*pip, *options, "--requirement", str(requirements))


def run_installer(*command: str) -> None:
    """Run a program that may fetch packages, and insist that it succeeds."""
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
