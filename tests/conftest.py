"""Fixtures for all tests: a fresh instance with a real database file, and the people in it."""

import base64
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate import create_app
from changegate.cli.instance import working_on
from changegate.cli.prepare import prepare_instance
from changegate.config import PREFIX
from changegate.extensions import db
from changegate.services.users.accounts import create_user
from changegate.setting_parsers import PARSERS
from tests.support.schedule import ByFileOrFolder, is_repeating, is_slow, longest_first
from tests.support.speedups import (
    cheap_passwords,
    noted_processes,
    remembered_routes,
    remembered_statements,
    remembered_templates,
    unnoted_processes,
)

# Their fixtures are for all tests.
pytest_plugins = [
    f"tests.support.{name}" for name in ("postgres", "faulty_route", "token_desk", "grant_desk", "provider_site")
]
NewInstance = Callable[[], Path]
ADMIN_PASSWORD = "correct horse battery"
BASE_URL = "https://change.example.com"
# By default, Python collects garbage after 700 objects, which is many times in each test. An application has about
# 30,000 objects, which should not be examined several times before they become garbage.
OBJECTS_BETWEEN_COLLECTIONS = 200_000

# An example takes longer than Hypothesis allows by default where other processes use the processor. A change is tested
# with the same examples each time; `--hypothesis-profile=search` tries new ones.
hypothesis.settings.register_profile("changegate", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True)
hypothesis.settings.load_profile("changegate")


class Clock:
    """The application's clock, which a test can move."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, **duration: float) -> None:
        self.offset += timedelta(**duration)


def pytest_configure() -> None:
    """Collect garbage less often, and let the processes that tests start end at SIGINT.

    In the background, a shell would have them ignore it.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFileOrFolder | None:
    """Share the tests out among workers, where there are any, by what they have in common."""
    return ByFileOrFolder(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with what takes longest, mark slow tests, and trace no lines of repeating ones."""
    for item in items:
        if is_repeating(item):
            item.add_marker(pytest.mark.no_cover)
        if is_slow(item):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items)


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what stays until the end, above all the thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def coverage_config() -> Iterator[str | None]:
    """Speed up the suite, and give the settings by which coverage.py follows started processes."""
    caches = (remembered_routes, remembered_templates, remembered_statements)
    with ExitStack() as stack:
        for speedup in (*caches, cheap_passwords):
            stack.enter_context(speedup())
        yield stack.enter_context(unnoted_processes())


@pytest.fixture
def lines_of_processes(coverage_config: str | None) -> Iterator[None]:
    """Note the lines of the processes that a test starts: it runs what no test runs in its own process."""
    with noted_processes(coverage_config):
        yield


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path) -> Iterator[None]:
    """No test depends on the settings, or works on the instance, of who runs it or of the test before it.

    Commands that start servers pass settings on through the environment, which must end with the test.
    """
    with mock.patch.dict(os.environ):
        for name in PARSERS:
            os.environ.pop(f"{PREFIX}{name.upper()}", None)
        os.environ["CHANGEGATE_INSTANCE_PATH"] = str(tmp_path / "instance")
        yield


@pytest.fixture
def settings() -> dict[str, str]:
    """Settings on top of the usual ones; a test module overrides this fixture."""
    return {}


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory: pytest.TempPathFactory, coverage_config: str | None) -> bytes:
    """The database of a prepared instance; migrating once and copying keeps the suite fast."""
    folder = tmp_path_factory.mktemp("prepared")
    app = create_app(instance_path=folder, overrides={"admin_password": ADMIN_PASSWORD})
    prepare_instance(app)
    with working_on(app):
        db.session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return (folder / "changegate.db").read_bytes()


@pytest.fixture(scope="session")
def new_instance(tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes) -> NewInstance:
    """Return a function that makes a prepared instance for a server, which need not migrate its database first."""

    def made() -> Path:
        folder = tmp_path_factory.mktemp("instance")
        (folder / "changegate.db").write_bytes(prepared_database)
        return folder

    return made


@pytest.fixture
def app(tmp_path: Path, prepared_database: bytes, settings: dict[str, str]) -> Iterator[Flask]:
    """An application on a fresh, prepared instance."""
    folder = tmp_path / "instance"
    folder.mkdir()
    (folder / "changegate.db").write_bytes(prepared_database)
    usual = {"jwks_allow_loopback": "1", "base_url": BASE_URL, "admin_password": ADMIN_PASSWORD}
    app = create_app(instance_path=folder, overrides=usual | settings)
    app.config["CLOCK"] = Clock()
    app.config["DATABASE_CLOCK"] = lambda: app.config["CLOCK"]()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app_context(app: Flask) -> Iterator[None]:
    """Run a test in the context of the application."""
    with app.app_context():
        yield


@pytest.fixture
def clock(app: Flask) -> Clock:
    found: Clock = app.config["CLOCK"]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def add_user(app: Flask) -> Callable[..., str]:
    """Add a user with a password and roles; answers the sys_id."""

    def add(user_name: str, *roles: str, password: str | None = "itil itil itil", email: str | None = None) -> str:
        with app.app_context():
            user = create_user(user_name=user_name, password=password, email=email, name=None, roles=list(roles))
            db.session.commit()
            return user.sys_id

    return add


def basic(user_name: str, password: str) -> dict[str, str]:
    """Return the header of Basic authentication."""
    pair = base64.b64encode(f"{user_name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@pytest.fixture
def admin() -> dict[str, str]:
    """The administrator's Basic header."""
    return basic("admin", ADMIN_PASSWORD)
