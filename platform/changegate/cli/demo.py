"""`changegate demo`: a scripted tour on this machine, with each of the two servers in its own process."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

import click
import requests

from changegate.cli.demo_steps import AUDIENCE, DemoFailed, DemoServers, print_links, run_steps
from changegate.cli.instance import working_on
from changegate.cli.prepare import prepare_instance
from changegate.cli.serve import require_free_port
from changegate.config import default_instance_path
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.factory import create_app
from changegate.seed import ADMIN_USER_NAME, seed_demo

HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 10


@click.command()
@click.option(
    "--once", is_flag=True, help="Run the demo and stop; exits with code 1 and the name of the step if one fails."
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--idp-port", default=8081, show_default=True, type=click.IntRange(1, 65535))
def demo(once: bool, port: int, idp_port: int) -> None:
    """Run the demo, from an identity provider's key to a change request, then keep serving until Ctrl-C."""
    if port == idp_port:
        raise click.UsageError("--port and --idp-port must differ.")
    for number in (port, idp_port):
        require_free_port(HOST, number)
    servers = DemoServers(
        base_url=f"http://{HOST}:{port}",
        idp_url=f"http://{HOST}:{idp_port}",
        admin=ADMIN_USER_NAME,
        password=_prepare_demo(f"http://{HOST}:{port}"),
    )
    signal.signal(signal.SIGTERM, _as_interrupt)
    with contextlib.suppress(KeyboardInterrupt), _processes(servers, port, idp_port) as processes:
        _run_steps(servers)
        if once:
            return
        click.echo("\nBoth servers keep running; press Ctrl-C to stop them.")
        _watch(processes)


def _prepare_demo(base_url: str) -> str:
    """Prepare the instance with demo records; reset the administrator's password and return it.

    A second demo on the same instance does not know the password of the first.
    """
    os.environ["CHANGEGATE_BASE_URL"] = base_url
    os.environ["CHANGEGATE_JWKS_ALLOW_LOOPBACK"] = "1"
    password = os.environ.get("CHANGEGATE_ADMIN_PASSWORD") or secrets.token_urlsafe(9)
    os.environ["CHANGEGATE_ADMIN_PASSWORD"] = password
    app = create_app(instance_path=default_instance_path())
    prepare_instance(app)
    with working_on(app):
        seed_demo(admin_password=password)
        db.session.commit()
    return password


def _run_steps(servers: DemoServers) -> None:
    try:
        changes = run_steps(servers)
    except DemoFailed as failure:
        raise ChangegateError(str(failure)) from None
    print_links(servers, changes)


@contextlib.contextmanager
def _processes(servers: DemoServers, port: int, idp_port: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run both servers, and stop both at the end."""
    commands = (
        [sys.executable, "-m", "changegate.cli", "serve", "--host", HOST, "--port", str(port)],
        [
            *(sys.executable, "-m", "demo_idp.cli", "serve", "--host", HOST, "--port", str(idp_port)),
            *("--changegate", servers.base_url, "--audience", AUDIENCE),
        ],
    )
    # Started in sessions of their own: only this process gets Ctrl-C, and stops the servers in order.
    started = [_start(command) for command in commands]
    try:
        _wait_until_ready(f"{servers.base_url}/readyz", started[0])
        _wait_until_ready(f"{servers.idp_url}/healthz", started[1])
        yield started
    finally:
        _stop(started)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)  # noqa: S603 - a command of ours


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2).ok:
                return
        time.sleep(0.05)
    raise ChangegateError(f"{url} does not answer; its server {'ended' if process.poll() is not None else 'hangs'}.")


def _watch(processes: list[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
    raise ChangegateError("A server of the demo ended unexpectedly.")


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Kill the whole session: the workers would outlive their parent.
            os.killpg(process.pid, signal.SIGKILL)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
