"""The measured databases: SQLite files beside the code, or databases of a PostgreSQL that the benchmark starts."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from tests.support.postgres import Cluster, find_binary, start_cluster

from benchmarks.errors import BenchFailed

SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"
# The processor time of a statement is that of one process.
ONE_PROCESS = {"max_parallel_workers_per_gather": "0"}
NO_POSTGRESQL = "PostgreSQL is not installed, so it is not measured: apt-get install postgresql"


class Databases(Protocol):
    """A kind of database, of which databases can be created."""

    @property
    def name(self) -> str:
        """Return the name in the report."""

    def create(self, name: str) -> str:
        """Create an empty database; return its URL for SQLAlchemy and the product."""


@dataclass(frozen=True)
class SqliteFiles:
    """SQLite databases in one folder."""

    folder: Path
    name: str = SQLITE

    def create(self, name: str) -> str:
        """Return the URL of a file, which the first process that opens it creates."""
        return f"sqlite:///{self.folder / name}.db"


@dataclass(frozen=True)
class PostgresDatabases:
    """Databases of one cluster with the defaults of PostgreSQL: a commit is on disk before it is answered."""

    cluster: Cluster
    name: str = POSTGRESQL

    def create(self, name: str) -> str:
        """Create a database."""
        self.cluster.execute(f"CREATE DATABASE {name}")
        return self.cluster.url(name)


def has_postgres() -> bool:
    """Return whether PostgreSQL is installed."""
    return find_binary("initdb") is not None


def start_postgres() -> PostgresDatabases:
    """Start a cluster that ends with this process. Raises `BenchFailed`."""
    # Its server runs as another user, who may have no access to the checkout. /tmp may be memory, where a durable
    # commit would cost nothing.
    folder = Path(tempfile.mkdtemp(prefix="changegate-bench-", dir="/var/tmp"))
    try:
        return PostgresDatabases(start_cluster(folder, ONE_PROCESS))
    except (pytest.fail.Exception, subprocess.CalledProcessError) as problem:
        raise BenchFailed(str(problem)) from None
