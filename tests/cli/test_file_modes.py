"""Files of an instance: private from the first byte, and a report of those that are not."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from changegate import create_app
from changegate.cli.tls import ensure_certificate
from changegate.database import QueuedConnection
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Make new files readable by all users unless the product restricts them."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def modes(folder: Path) -> dict[str, int]:
    paths = (folder, *folder.rglob("*"))
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_a_new_instance_is_for_its_owner_only(run: Run, folder: Path) -> None:
    done = run("prepare")
    assert done.code == 0
    assert "chmod" not in done.err
    ensure_certificate(folder / "tls", "localhost")
    found = modes(folder)
    assert {"changegate.db", "secret_key", "prepare.lock", "ca.pem", "ca.key", "server.pem", "server.key"} <= set(found)
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}
    assert found["instance"] == 0o700
    assert found["changegate.db"] == 0o600


def test_the_database_is_private_before_anything_is_in_it_and_so_are_its_other_files(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    with closing(QueuedConnection(file)) as connection:
        assert modes(file) == {"new.db": 0o600}
        assert file.stat().st_size == 0
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("new.db*")}
    assert found == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


def test_an_empty_folder_of_a_checkout_becomes_private(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir()
    (folder / ".gitkeep").touch()
    create_app(instance_path=folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_in_use_keeps_its_mode_and_is_reported_with_the_remedy(run: Run, folder: Path) -> None:
    run("prepare")
    folder.chmod(0o755)
    (folder / "changegate.db").chmod(0o644)
    done = run("prepare")
    assert done.code == 0
    assert f"{folder} (0755)" in done.err
    assert f"{folder / 'changegate.db'} (0644)" in done.err
    assert "secret_key" not in done.err
    assert f"chmod -R go= {folder}" in done.err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    os.system(f"chmod -R go= {folder}")
    assert run("prepare").err == ""


def test_many_exposed_files_are_counted(run: Run, folder: Path) -> None:
    run("prepare")
    for number in range(30):
        (folder / f"copy-{number:02}.db").touch()
    assert "copy-04.db" in run("prepare").err
    assert "and 25 more" in run("prepare").err
