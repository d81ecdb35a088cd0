"""Private files of an instance, and a report of files that others can access."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
# Files of a checkout in an instance folder that is not yet in use.
PLACEHOLDER = ".gitkeep"


def make_private_folder(folder: Path) -> None:
    """Create an instance folder with mode 0700, or set this mode on an empty one; raises `OSError`.

    A folder in use keeps its mode, which its administrator may have chosen; `list_exposed` reports it.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if all(path.name == PLACEHOLDER for path in folder.iterdir()):
        with suppress(OSError):  # a mount point may belong to another user
            folder.chmod(FOLDER_MODE)


def open_private(path: str, flags: int) -> int:
    """Open a file, for `opener` of `open`; a new one has mode 0600."""
    return os.open(path, flags, FILE_MODE)


def list_exposed(folder: Path) -> Iterator[tuple[Path, int]]:
    """Return the paths that others may access, with their modes: instance folder, files, subfolders."""
    for path in (folder, *sorted(folder.rglob("*"))):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & OTHERS and not path.is_symlink() and path.name != PLACEHOLDER:
            yield path, mode
