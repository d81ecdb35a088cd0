"""`changegate serve`: prepare the instance, then serve it with Granian."""

import ctypes
import errno
import gc
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
from granian.constants import Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from changegate.cli.instance import marked_as_served, working_on
from changegate.cli.prepare import prepare_instance
from changegate.cli.shared_settings import require_same_settings
from changegate.cli.stderr_lines import log_without_waiting
from changegate.cli.tls import ensure_certificate
from changegate.config import Settings, default_instance_path, load_settings
from changegate.database.request_time import MAX_EXECUTION_TIME
from changegate.errors import ChangegateError
from changegate.factory import create_app
from changegate.server import Front, waits
from changegate.server.direct import LOOP, STOP, Loop
from changegate.server.draining import DrainingServer
from changegate.services.jobs.worker import start_beside_main_thread
from changegate.setting_parsers import MOST_THREADS

BASE_URL_VARIABLE = "CHANGEGATE_BASE_URL"
DEFAULT_PORT = 8080
# More threads would only wait for each other: Python runs one at a time.
DEFAULT_THREADS = Settings.threads
# Requests that have begun are finished: none may take longer than the first part.
KILL_TIMEOUT_SECONDS = int(MAX_EXECUTION_TIME.total_seconds()) + 5
# Killed workers free their port as soon as they have ended, others when their requests are finished.
PORT_SECONDS = 10
# For each worker; high, so that idle connections leave room for others.
MOST_CONNECTIONS = 4096
# The files that a worker has open beside connections of clients, at most: its own, and those of each thread for SQLite.
FILES_OF_WORKER, FILES_OF_THREAD = 64, 2
# Requests create few reference cycles, and the collector's default is to run ten times in a request.
OBJECTS_BETWEEN_COLLECTIONS = 10_000
# Of prctl(2), on Linux.
PR_SET_PDEATHSIG = 1


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option(
    "--threads",
    default=DEFAULT_THREADS,
    show_default=True,
    type=click.IntRange(1, MOST_THREADS),
    help="Threads of each process.",
)
@click.option(
    "--pin-workers/--no-pin-workers",
    "pins_workers",
    default=True,
    show_default=True,
    help="Keep each process on one processor, if the operating system supports it.",
)
@click.option(
    "--jobs/--no-jobs",
    "runs_jobs",
    default=True,
    show_default=True,
    help="Run jobs in each process; without them, `changegate worker` must run.",
)
@click.option("--tls", is_flag=True, help="Serve HTTPS with a certificate from a local CA in the instance folder.")
def serve(host: str, port: int, workers: int, threads: int, pins_workers: bool, runs_jobs: bool, tls: bool) -> None:
    """Prepare the instance and serve it until interrupted."""
    _require_open_files(threads)
    require_free_port(host, port, waits=True)
    with _reserved(host, port):
        is_base_url_set = load_settings(default_instance_path()).base_url != Settings.base_url
        address = {"base_url": f"{'https' if tls else 'http'}://{_in_url(host)}:{port}"}
        has_base_url = is_base_url_set or os.environ.get(BASE_URL_VARIABLE)
        app = create_app(instance_path=default_instance_path(), overrides=None if has_base_url else address)
        prepare_instance(app)
        with working_on(app):
            require_same_settings(is_base_url_set=is_base_url_set)
        click.echo(f"Changegate serves {app.config['SETTINGS'].base_url}")
        tls_folder = Path(app.instance_path) / "tls" if tls else None
        with marked_as_served(Path(app.instance_path)):
            settings = replace(app.config["SETTINGS"], threads=threads)
            load = partial(load_app, settings, pins=pins_workers, runs_jobs=runs_jobs)
            run_server(host, port, workers, tls_folder, app.config["SETTINGS"].drain_time, load)


def require_free_port(host: str, port: int, *, waits: bool = False) -> None:
    """Raise `ChangegateError` if the server cannot listen on the port.

    With `waits`, first wait for a process that uses it: after a crash, a supervisor may start the server again before
    the old workers have ended.
    """
    problem = _find_obstacle(host, port)
    if waits and problem is not None and problem.errno == errno.EADDRINUSE:
        click.echo(f"Waiting up to {PORT_SECONDS} seconds: {host} port {port} is in use.", err=True)
        end = time.monotonic() + PORT_SECONDS
        while problem is not None and time.monotonic() < end:
            time.sleep(0.1)
            problem = _find_obstacle(host, port)
    if problem is not None:
        raise ChangegateError(f"Cannot listen on {host} port {port}: {problem.strerror}.")


def _find_obstacle(host: str, port: int) -> OSError | None:
    """Return why the server cannot listen on a port, or None."""
    # Granian shares ports (SO_REUSEPORT): a second server would start, and get half of the requests.
    try:
        with _socket_for(host) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as problem:
        return problem
    return None


@contextmanager
def _reserved(host: str, port: int) -> Iterator[None]:
    """Bind a port without listening: until the workers listen, a second server would find the port free."""
    with _socket_for(host) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with suppress(OSError):  # for a minute after connections of another program, which do not stop the workers
            reservation.bind((host, port))
        yield


def _socket_for(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


def run_server(
    host: str,
    port: int,
    workers: int,
    tls_folder: Path | None,
    drain_time: timedelta,
    load: Callable[..., Front],
) -> None:
    """Serve what `load` returns in each worker process with Granian until a signal stops it."""
    certificate = ensure_certificate(tls_folder, host) if tls_folder else None
    if certificate:
        click.echo(f"Clients trust the CA in {certificate.ca}")
    server = DrainingServer(
        drain_time,
        "changegate.factory:create_app",
        address=host,
        port=port,
        # Not RSGI: it buffers whole responses for clients that do not read, and reports broken-off bodies as complete.
        interface=Interfaces.ASGINL,
        loop=LOOP,
        runtime_mode=RuntimeModes.st,
        websockets=False,
        workers=workers,
        # Further connections wait until one ends. Those over the limit of open files would be dropped.
        backpressure=_allow_connections(),
        http1_settings=HTTP1Settings(header_read_timeout=int(waits.HEAD_SECONDS * 1000)),
        log_level=LogLevels.error,
        ssl_cert=certificate.chain if certificate else None,
        ssl_key=certificate.key if certificate else None,
        factory=True,
        workers_kill_timeout=KILL_TIMEOUT_SECONDS,
        # A worker that was killed, for example because the machine ran out of memory, must not take the others along.
        respawn_failed_workers=True,
    )
    server.serve(target_loader=partial(load, server.is_draining), wrap_loader=False)


def load_app(
    settings: Settings,
    is_draining: Callable[[], bool] = bool,
    *,
    pins: bool = True,
    runs_jobs: bool = False,
) -> Front:
    """Build the application inside a worker process; the worker ignores SIGTERM and Ctrl-C, which its parent handles.

    `settings` are those of the parent: a worker that replaces another one must not be the first to use others.
    """
    # Before the first thread, which would receive them.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    _end_with_parent()
    log_without_waiting()
    if pins:
        stay_on_one_processor()
    app = create_app(instance_path=default_instance_path(), settings=settings)
    front = Front(app, settings.threads, is_draining)
    Loop.direct = front.direct
    # Objects created so far live as long as the process. If each collection looked through all of them, it would stop
    # the event loop for tens of milliseconds, often while hundreds of clients are connected.
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    if runs_jobs:
        start_beside_main_thread(app)
    return front


def _require_open_files(threads: int) -> None:
    """Raise `ChangegateError` if a worker may open too few files: it would fail while it starts, or under load."""
    needed = 2 * (FILES_OF_WORKER + FILES_OF_THREAD * threads)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise ChangegateError(
            f"A process may open only {limit} files, and with {threads} threads it needs {needed}. Raise the hard"
            " limit, for example by `ulimit -n` or by LimitNOFILE of systemd."
        )


def _allow_connections() -> int:
    """Raise the limit of open files, and return how many of them connections of clients may be: half of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 2 * MOST_CONNECTIONS
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit // 2


def _end_with_parent() -> None:
    """Stop this worker when its parent is killed: it would keep the port, and the next server could not start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, STOP)
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:  # it was killed before
            sys.exit(1)


def stay_on_one_processor() -> None:
    """Pin this process and its future threads to one of the allowed processors.

    Only one thread runs Python at a time. On two processors, each switch between threads starts with a cold cache, and
    waking the other processor takes longer than much of the work. See decision 0015.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        # Workers get consecutive process IDs, so the remainder spreads them over the processors.
        os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
