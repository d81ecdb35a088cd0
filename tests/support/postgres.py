"""A throw-away PostgreSQL on loopback, started once for all tests of a process, and the fixtures that use it."""

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.extensions import db
from tests.support.servers import free_port

OWNER = "postgres"
PREPARED = "prepared"
START_SECONDS = 120
STOP_SECONDS = 20
END_SESSIONS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
COMMITTED = (
    "SELECT 1 FROM generate_series(%s::bigint, %s::bigint) AS number"
    " WHERE pg_xact_status(number::text::xid8) = 'committed' LIMIT 1"
)
RESTART = "SELECT setval(sequencename::regclass, start_value, false) FROM pg_sequences WHERE last_value IS NOT NULL"
# What ends the clusters of this process.
_CLUSTERS = contextlib.ExitStack()
atexit.register(_CLUSTERS.close)
MISSING = "PostgreSQL is missing, and these tests are never skipped: apt-get install postgresql"


@dataclass(frozen=True)
class Cluster:
    """A running cluster and the secret of its owner."""

    port: int
    password: str

    @functools.cached_property
    def copying(self) -> str:
        """How to copy a database at half the cost, where there is a choice: before version 15, there is no other."""
        return "STRATEGY FILE_COPY" if self.connection.info.server_version >= 150_000 else ""

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run one statement that may stand in no transaction, such as CREATE DATABASE."""
        self.connection.execute(statement.encode())

    def create_database(self, template: str) -> str:
        """Copy a database, and return the name of the copy."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {self.copying}")
        return name

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def next_transaction(self) -> int:
        """Return a transaction number above those of all transactions that have ended."""
        [[number]] = self.connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchall()
        return int(number)

    def has_committed(self, first: int, after: int) -> bool:
        """Return whether one of these transactions, which have ended, has changed any database of the cluster."""
        return bool(self.connection.execute(COMMITTED, [first, after - 1]).fetchone())

    def end_sessions(self, name: str) -> None:
        """End all connections to a database, and wait until they have ended."""
        self.connection.execute(END_SESSIONS, [name])

    def restart_sequences(self, name: str) -> None:
        """Restart the sequences of a database, which no rollback resets."""
        with self._connected(name) as connection:
            connection.execute(RESTART)

    @functools.cached_property
    def connection(self) -> psycopg.Connection:
        """One connection for all such statements: to make one takes the server longer than most of them."""
        return self._connected()

    def close(self) -> None:
        """Let the cluster stop, which it does not while anybody is connected."""
        if "connection" in vars(self):
            self.connection.close()

    def _connected(self, database: str = "postgres") -> psycopg.Connection:
        address = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        return psycopg.connect(user=OWNER, password=self.password, autocommit=True, **address)

    def is_up(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self._connected().close()
            return True
        return False


def find_binary(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of the PATH."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, which no test does without."""
    found = find_binary(name)
    if found is None:
        pytest.fail(MISSING)
    return found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """End the clusters: xdist kills a worker after 10 seconds, which its last collection of garbage may take."""
    _CLUSTERS.close()


@functools.cache
def running_cluster() -> Cluster:
    """Start the cluster at the first call; it ends, and its files go, with the process."""
    folder = Path(tempfile.mkdtemp(prefix="changegate-postgres-"))
    # A zone that is not UTC shows who forgets to convert.
    careless = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    return start_cluster(folder, {**careless, "timezone": "Asia/Kolkata"})


def start_cluster(folder: Path, options: Mapping[str, str]) -> Cluster:
    """Start a cluster in an empty folder; it ends, and its files go, with the process."""
    cluster = Cluster(free_port(), secrets.token_urlsafe(16))
    data = _initialised(folder, cluster.password)
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **options}
    settings = [f"--{name}={value}" for name, value in options.items()]
    with (folder / "log").open("w") as log:
        command = [binary("postgres"), "-D", str(data), "-p", str(cluster.port), *settings]
        process = subprocess.Popen(command, cwd=folder, user=_owner(), stderr=log)
    _CLUSTERS.callback(_stop, cluster, process, folder)
    deadline = time.monotonic() + START_SECONDS
    while not cluster.is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.05)
    return cluster


def _initialised(folder: Path, password: str) -> Path:
    secret = folder / "password"
    secret.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER)
        shutil.chown(secret, OWNER)
    # SCRAM would take a quarter of the time of a connection, of which most tests make several.
    options = ["--auth=md5", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [binary("initdb"), "-D", str(folder / "data"), "-U", OWNER, *options]
    subprocess.run(command, cwd=folder, user=_owner(), check=True, capture_output=True)
    return folder / "data"


def _owner() -> str | None:
    """Return whom the server runs as; it refuses to be root."""
    return OWNER if os.geteuid() == 0 else None


def _stop(cluster: Cluster, process: subprocess.Popen[bytes], folder: Path) -> None:
    cluster.close()
    # SIGINT: at SIGTERM, it would wait until every client has left.
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    process.kill()
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def prepared_cluster() -> Cluster:
    """Migrate a database once; every test gets a copy of it."""
    cluster = running_cluster()
    cluster.execute(f"CREATE DATABASE {PREPARED}")
    with tempfile.TemporaryDirectory() as folder:
        overrides = {"database_url": cluster.url(PREPARED), "admin_password": "correct horse battery"}
        prepare_instance(create_app(instance_path=folder, overrides=overrides))
    return cluster


@pytest.fixture
def empty_postgres() -> Iterator[str]:
    """Return the URL of an empty database."""
    cluster = running_cluster()
    name = cluster.create_database("template0")
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
def prepared_postgres() -> Iterator[str]:
    """Return the URL of a migrated database with the first-start records."""
    with prepared_database_of_postgres() as url:
        yield url


# Databases in which tests committed nothing, so that others can use them.
_unchanged: list[str] = []


@contextlib.contextmanager
def prepared_database_of_postgres() -> Iterator[str]:
    """Give such a database for as long as a block takes, where a fixture of one test is not enough."""
    cluster = prepared_cluster()
    name = _unchanged.pop() if _unchanged else cluster.create_database(PREPARED)
    first = cluster.next_transaction()
    yield cluster.url(name)
    cluster.end_sessions(name)
    after = cluster.next_transaction()
    if cluster.has_committed(first, after):
        cluster.drop_database(name)
        return
    if after > first:
        cluster.restart_sequences(name)
    _unchanged.append(name)


@pytest.fixture
def postgres_app(prepared_postgres: str, tmp_path: Path) -> Iterator[Flask]:
    """Return an application on PostgreSQL."""
    with _app_on(prepared_postgres, tmp_path / "instance") as app:
        yield app


@pytest.fixture(params=["sqlite", "postgresql"])
def either_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """Return an application on SQLite, then one on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("app")
        return
    with _app_on(request.getfixturevalue("prepared_postgres"), tmp_path / "instance") as app:
        yield app


@pytest.fixture
def either_app_context(either_app: Flask) -> Iterator[None]:
    """Run a test in the context of an application on SQLite, then of one on PostgreSQL."""
    with either_app.app_context():
        yield


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[Flask]:
    """Return an application on SQLite, then one on PostgreSQL; the test runs in its context."""
    with either_app.app_context():
        yield either_app


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes
) -> Iterator[Flask]:
    """Return an application on SQLite, then one on PostgreSQL, for all tests of a module, which share no records."""
    folder = tmp_path_factory.mktemp("shared")
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            (folder / "changegate.db").write_bytes(prepared_database)
            url = f"sqlite:///{folder / 'changegate.db'}"
        else:
            url = stack.enter_context(prepared_database_of_postgres())
        yield stack.enter_context(_app_on(url, folder, jwks_allow_loopback="1"))


@contextlib.contextmanager
def _app_on(url: str, instance: Path, **settings: str) -> Iterator[Flask]:
    overrides = {"database_url": url, "base_url": "https://change.example.com", **settings}
    app = create_app(instance_path=instance, overrides=overrides)
    app.config["DATABASE_CLOCK"] = lambda: app.config["CLOCK"]()
    yield app
    with app.app_context():
        db.session.close()
        db.engine.dispose()
