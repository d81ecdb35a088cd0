"""Environments of their own for clients that cannot, or need not, be installed beside the product."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "clients"
INSTALL_SECONDS = 300
# A test lets its clients trust the product's CA, which is none of pip's: it gets what the tests were started with.
ENVIRONMENT = dict(os.environ)


def client_programs(requirements: Path) -> Path:
    """Return the folder of programs of an environment with what a file requires; made once, then kept."""
    folder = FOLDER / requirements.stem
    wanted = f"{sys.version}\n{requirements.read_text()}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        # Two runs of the tests may want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_made(folder, wanted):
            _make(folder, requirements)
            (folder / "made-for").write_text(wanted)
    return folder / "bin"


def _is_made(folder: Path, wanted: str) -> bool:
    note = folder / "made-for"
    return note.is_file() and note.read_text() == wanted


def _make(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run("-m", "venv", "--without-pip", str(folder))
    # Our own pip installs there: a pip for each environment would double the time.
    where = ("--python", str(folder / "bin" / "python"))
    _run("-m", "pip", *where, "install", "--quiet", "--disable-pip-version-check", "--requirement", str(requirements))


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
