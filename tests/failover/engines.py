"""Real engines on loopback: PostgreSQL under Patroni and etcd, with HAProxy or PgBouncer in front, and Valkey."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests.support.postgres import OWNER, find_binary
from tests.support.servers import free_port

PASSWORD = "failover"
DATABASE = "desk"
MEMBERS = ("a", "b")
# Patroni's least; a frozen host keeps its role for as long.
TTL_SECONDS = 20
MOST_SECONDS = 120
ACCESS = ("host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256")
LOGINS = {"superuser": OWNER, "replication": "replicator", "rewind": "rewinder"}
SETTINGS = {"synchronous_commit": "on", "max_connections": 100, "shared_buffers": "64MB", "wal_keep_size": "256MB"}


def wait_for(what: str, is_so: Callable[[], Any], seconds: float = MOST_SECONDS) -> Any:
    """Return the first true value. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, requests.RequestException, psycopg.Error):
            if value := is_so():
                return value
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds:.0f} seconds")


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, *, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run an engine that logs into a folder; it and its children are killed in the end."""
    with (folder / f"{Path(command[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, user=user, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started (Linux's proc(5))."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class Member:
    """A host: Patroni, and the PostgreSQL that it starts."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    patroni: int = 0

    @property
    def postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def answers(self, role: str) -> bool:
        """Return whether Patroni says that this member has a role."""
        return requests.get(f"http://127.0.0.1:{self.api_port}/{role}", timeout=1).ok

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to everything on the host."""
        for pid in (self.patroni, self.postmaster, *children_of(self.postmaster)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def configuration(self, etcd_port: int, *, is_strict: bool) -> dict[str, Any]:
        """Return the file of Patroni; YAML is a superset of JSON."""
        process = {"use_pg_rewind": True, "parameters": SETTINGS, "pg_hba": ACCESS}
        dcs = {
            "ttl": TTL_SECONDS,
            "loop_wait": 1,
            "retry_timeout": 3,
            "primary_start_timeout": 0,
            "postgresql": process,
        }
        modes = {"synchronous_mode": True, "synchronous_mode_strict": is_strict, "maximum_lag_on_failover": 2**20}
        api, server = f"127.0.0.1:{self.api_port}", f"127.0.0.1:{self.port}"
        binaries = find_binary("postgres")
        assert binaries is not None
        return {
            "scope": "failover",
            "name": self.name,
            "restapi": {"listen": api, "connect_address": api},
            "etcd3": {"hosts": f"127.0.0.1:{etcd_port}"},
            "bootstrap": {
                "dcs": dcs | modes | {"postgresql": process},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": server,
                "connect_address": server,
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(Path(binaries).parent),
                "pgpass": str(self.folder / "pgpass"),
                "pg_hba": ACCESS,
                "authentication": {kind: {"username": name, "password": PASSWORD} for kind, name in LOGINS.items()},
                "parameters": {"unix_socket_directories": ""},
            },
            "watchdog": {"mode": "off"},
        }


@dataclass
class Cluster:
    """Two members, of which one is the primary."""

    members: list[Member]
    folder: Path

    @property
    def hosts(self) -> str:
        """Return the URL that names both hosts."""
        ports = ",".join(str(member.port) for member in self.members)
        hosts = ",".join("127.0.0.1" for _ in self.members)
        return f"{self.url_of('')}?host={hosts}&port={ports}&target_session_attrs=read-write"

    def url_of(self, address: str) -> str:
        return f"postgresql+psycopg://{OWNER}:{PASSWORD}@{address}/{DATABASE}"

    def primary(self) -> Member:
        found: Member = wait_for("a primary", lambda: next((m for m in self.members if _has_role(m, "primary")), None))
        return found

    def standby(self) -> Member:
        found: Member = wait_for("a standby", lambda: next((m for m in self.members if _has_role(m, "sync")), None))
        return found

    def switch_over(self) -> None:
        command = ["patronictl", "-c", str(self.members[0].folder / "patroni.yml"), "switchover", "failover", "--force"]
        subprocess.run(command, check=True, capture_output=True)

    def ask(self, query: str) -> list[Any]:
        """Return the rows of a query on the primary."""
        port = self.primary().port
        address = {"host": "127.0.0.1", "port": port, "user": OWNER, "password": PASSWORD, "dbname": DATABASE}
        with psycopg.connect(**address, autocommit=True) as opened:  # type: ignore[arg-type]
            return opened.execute(query.encode()).fetchall()


def _has_role(member: Member, role: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return member.answers(role)
    return False


@contextlib.contextmanager
def running_cluster(folder: Path, *, is_strict: bool = False) -> Iterator[Cluster]:
    """Run etcd and two members until both stream; the database is empty."""
    with contextlib.ExitStack() as stack:
        port, peer = free_port(), free_port()
        urls = [f"http://127.0.0.1:{number}" for number in (port, peer)]
        listen = ["--listen-client-urls", urls[0], "--advertise-client-urls", urls[0]]
        peers = ["--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1]]
        etcd = ["etcd", "--data-dir", str(folder / "etcd"), "--initial-cluster", f"default={urls[1]}", *listen, *peers]
        stack.enter_context(running(etcd, folder))
        wait_for("etcd", lambda: requests.get(f"{urls[0]}/health", timeout=1).ok)
        cluster = Cluster([Member(name, folder / name) for name in MEMBERS], folder)
        for member in cluster.members:
            member.folder.mkdir(mode=0o700)
            path = member.folder / "patroni.yml"
            path.write_text(json.dumps(member.configuration(port, is_strict=is_strict)))
            for owned in (member.folder, path):
                shutil.chown(owned, OWNER)
            process = stack.enter_context(running(["patroni", str(path)], member.folder, user=OWNER))
            member.patroni = process.pid
            stack.callback(_stop, member)
        cluster.standby()
        with psycopg.connect(
            f"host=127.0.0.1 port={cluster.primary().port} user={OWNER} password={PASSWORD} dbname=postgres",
            autocommit=True,
        ) as opened:
            opened.execute(f"CREATE DATABASE {DATABASE}".encode())
        yield cluster


def _stop(member: Member) -> None:
    """Kill Patroni first: it would start PostgreSQL again."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(member.patroni, signal.SIGKILL)
    with contextlib.suppress(FileNotFoundError, IndexError, ProcessLookupError):
        member.signal(signal.SIGKILL)


@contextlib.contextmanager
def running_haproxy(cluster: Cluster) -> Iterator[int]:
    """Run HAProxy in front of the primary, and give its port."""
    port = free_port()
    servers = "\n".join(
        f"  server {member.name} 127.0.0.1:{member.port} check port {member.api_port}" for member in cluster.members
    )
    path = cluster.folder / "haproxy.cfg"
    path.write_text(
        f"""defaults
  mode tcp
  timeout connect 2s
  timeout client 30m
  timeout server 30m
listen primary
  bind 127.0.0.1:{port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""
    )
    with running(["haproxy", "-f", str(path)], cluster.folder):
        yield port


@contextlib.contextmanager
def running_pgbouncer(cluster: Cluster, port_behind: int) -> Iterator[int]:
    """Run PgBouncer in transaction mode, as Debian configures it apart from that, and give its port."""
    port, folder = free_port(), cluster.folder / "pgbouncer"
    folder.mkdir()
    shutil.chown(folder, OWNER)
    (folder / "users").write_text(f'"{OWNER}" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
{DATABASE} = host=127.0.0.1 port={port_behind} dbname={DATABASE}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users"}
pool_mode = transaction
max_prepared_statements = 200
default_pool_size = 10
server_login_retry = 1
server_connect_timeout = 3
"""
    )
    with running(["pgbouncer", str(folder / "pgbouncer.ini")], folder, user=OWNER):
        yield port


@contextlib.contextmanager
def running_valkey(folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run Valkey, and give its port and its process."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(["valkey-server", *options], folder) as process:
        yield port, process
