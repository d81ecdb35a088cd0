"""`changegate serve`: prepare the instance, then serve it with Granian."""

import gc
import os
import resource
import signal
import socket
from functools import partial
from pathlib import Path

import click
from granian import Granian
from granian.constants import Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from changegate.cli.prepare import prepare_instance
from changegate.cli.tls import ensure_certificate
from changegate.config import MOST_THREADS, Settings, default_instance_path, load_settings
from changegate.errors import ChangegateError
from changegate.factory import create_app
from changegate.server import Front, waits

BASE_URL_VARIABLE = "CHANGEGATE_BASE_URL"
DEFAULT_PORT = 8080
# More threads than this only wait for each other: Python runs one at a time, and a commit lets the next one go on.
DEFAULT_THREADS = Settings.threads
KILL_TIMEOUT_SECONDS = 5
# For each worker. Clients that only keep connections open must leave room for the others.
MOST_CONNECTIONS = 4096
# A request leaves little that only the collector finds. To look for it ten times in a request takes 3 % of its time.
OBJECTS_BETWEEN_COLLECTIONS = 10_000


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
@click.option("--tls", is_flag=True, help="Serve HTTPS with a certificate from a local CA in the instance folder.")
def serve(host: str, port: int, workers: int, threads: int, pins_workers: bool, tls: bool) -> None:
    """Prepare the instance and serve it until interrupted."""
    require_free_port(host, port)
    _name_base_url(f"{'https' if tls else 'http'}://{_in_url(host)}:{port}")
    app = create_app(instance_path=default_instance_path())
    prepare_instance(app)
    click.echo(f"Changegate serves {app.config['SETTINGS'].base_url}")
    tls_folder = Path(app.instance_path) / "tls" if tls else None
    run_server(host, port, workers, threads, tls_folder, pins_workers=pins_workers)


def _name_base_url(url: str) -> None:
    """Let links carry the address that clients really use, unless one is configured."""
    is_configured = load_settings(default_instance_path()).base_url != Settings.base_url
    if not is_configured and not os.environ.get(BASE_URL_VARIABLE):
        # The environment reaches the workers too.
        os.environ[BASE_URL_VARIABLE] = url


def require_free_port(host: str, port: int) -> None:
    """Refuse, in one sentence, to start where nobody could be served."""
    # Granian shares ports (SO_REUSEPORT): a second server would start and get half of the requests.
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ChangegateError(f"Cannot listen on {host} port {port}: {error.strerror}.") from None


def run_server(
    host: str, port: int, workers: int, threads: int, tls_folder: Path | None, *, pins_workers: bool = True
) -> None:
    """Serve with Granian until a signal ends it."""
    certificate = ensure_certificate(tls_folder, host) if tls_folder else None
    if certificate:
        click.echo(f"Clients trust the CA in {certificate.ca}")
    server = Granian(
        "changegate.factory:create_app",
        address=host,
        port=port,
        # RSGI keeps whole answers in memory for clients that do not read, and gives half a body for a whole one.
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        websockets=False,
        workers=workers,
        backpressure=MOST_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=int(waits.HEAD_SECONDS * 1000)),
        log_level=LogLevels.error,
        ssl_cert=certificate.chain if certificate else None,
        ssl_key=certificate.key if certificate else None,
        factory=True,
        workers_kill_timeout=KILL_TIMEOUT_SECONDS,
    )
    server.serve(target_loader=partial(load_app, threads, pins=pins_workers), wrap_loader=False)


def load_app(threads: int = DEFAULT_THREADS, *, pins: bool = True) -> Front:
    """Build the application inside a worker, which leaves Ctrl-C to its parent."""
    _allow_connections()
    if pins:
        stay_on_one_processor()
    # A terminal sends Ctrl-C to both; a worker that gets its parent's SIGTERM on top of its own SIGINT can hang.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    app = create_app(instance_path=default_instance_path(), overrides={"threads": str(threads)})
    front = Front(app, threads)
    # What there is by now stays until the end: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    return front


def _allow_connections() -> None:
    """Let this process have as many open files as connections need, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stay_on_one_processor() -> None:
    """Keep this process, and the threads that it will start, on one of the processors that it may use.

    Only one thread of it runs Python at a time. On two processors each takes over from another with nothing of what it
    needs at hand, and waking it costs more than much of its work. See decision 0015.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        # Workers are started one after the other, so their numbers spread them.
        os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
