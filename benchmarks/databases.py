"""Where the measured databases live: in files beside the code, or in a PostgreSQL started for the purpose."""

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
    """A place that databases can be made in."""

    @property
    def name(self) -> str:
        """Return what the place is called in the report."""

    def create(self, name: str) -> str:
        """Make an empty database; return its URL as SQLAlchemy and the product understand it."""


@dataclass(frozen=True)
class SqliteFiles:
    """Databases that are files of one folder."""

    folder: Path
    name: str = SQLITE

    def create(self, name: str) -> str:
        """Name a file, which the first process that opens it creates."""
        return f"sqlite:///{self.folder / name}.db"


@dataclass(frozen=True)
class PostgresDatabases:
    """Databases of one cluster, which keeps its other defaults: a commit is on the disk before it is answered."""

    cluster: Cluster
    name: str = POSTGRESQL

    def create(self, name: str) -> str:
        """Make a database."""
        self.cluster.execute(f"CREATE DATABASE {name}")
        return self.cluster.url(name)


def has_postgres() -> bool:
    """Return whether PostgreSQL is installed."""
    return find_binary("initdb") is not None


def start_postgres() -> PostgresDatabases:
    """Start a cluster that ends with this process. Raises `BenchFailed`."""
    # Its server is another user, who may not reach into the checkout; and /tmp may be memory, where nothing is durable.
    folder = Path(tempfile.mkdtemp(prefix="changegate-bench-", dir="/var/tmp"))
    try:
        return PostgresDatabases(start_cluster(folder, ONE_PROCESS))
    except (pytest.fail.Exception, subprocess.CalledProcessError) as problem:
        raise BenchFailed(str(problem)) from None
