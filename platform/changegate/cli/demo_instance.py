"""The instance of the demo: a folder inside the configured instance folder, which only the demo makes and removes."""

import secrets
import shutil
from pathlib import Path

from changegate.cli.instance import is_served
from changegate.config import default_instance_path
from changegate.errors import ChangegateError
from changegate.instance_files import make_private_folder, open_private

FOLDER = "demo"
# The administrator's password, and the proof that the demo made the folder.
LOGIN_FILE = "demo_admin_password"


def find_demo_folder() -> Path:
    """Return the path of the demo's instance.

    Raises `ChangegateError` if the folder holds anything that the demo did not make, or is being served.
    """
    configured = default_instance_path()
    folder = configured if _is_of_demo(configured) else configured / FOLDER
    if _is_of_demo(folder):
        if is_served(folder):
            raise ChangegateError(f"{folder} is being served. Stop that server first, for example a running demo.")
    elif folder.is_symlink() or (folder.exists() and any(folder.iterdir())):
        raise ChangegateError(
            f"{folder} was not made by the demo. Move it, or set CHANGEGATE_INSTANCE_PATH to another folder."
        )
    return folder


def make_demo_folder(folder: Path) -> str:
    """Create the folder if it is missing, and return the administrator's password, which is generated once."""
    if folder.name == FOLDER:
        make_private_folder(folder.parent)
    make_private_folder(folder)
    path = folder / LOGIN_FILE
    if not _is_of_demo(folder) or not path.read_text().strip():
        with open(path, "w", opener=open_private) as file:
            file.write(f"{secrets.token_urlsafe(12)}\n")
    return path.read_text().strip()


def remove_demo_folder(folder: Path) -> None:
    """Delete the folder if the demo made it."""
    if _is_of_demo(folder):
        shutil.rmtree(folder)


def _is_of_demo(folder: Path) -> bool:
    return (folder / LOGIN_FILE).is_file() and not folder.is_symlink()
