"""`changegate demo`: a scripted tour on this machine, with each of the two servers in its own process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from types import FrameType

import click
import requests
from flask import Flask

from changegate.cli.demo_instance import find_demo_folder, make_demo_folder, remove_demo_folder
from changegate.cli.demo_requests import DemoFailed, DemoServers
from changegate.cli.demo_steps import AUDIENCE, INTEGRATIONS, print_links, run_steps
from changegate.cli.instance import working_on
from changegate.cli.prepare import prepare_instance
from changegate.cli.serve import require_free_port
from changegate.cli.tls import ensure_certificate
from changegate.config import INSTANCE_PATH_VARIABLE, PREFIX
from changegate.database import commit
from changegate.errors import ChangegateError
from changegate.factory import create_app
from changegate.seed import ADMIN_USER_NAME, forget_demo_run, seed_demo, seed_demo_history, seed_demo_sign_on

HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 10
# Settings that could lead to the records of another instance. An empty value stands for the default.
SETTINGS_OF_OTHERS = ("database_url", "secret_key", "ratelimit_storage_url")


@click.command()
@click.option(
    "--once", is_flag=True, help="Run the demo and stop; exits with code 1 and the name of the step if one fails."
)
@click.option("--reset", is_flag=True, help="Delete the instance of the demo first, so that it is made again.")
@click.option("--tls", is_flag=True, help="Serve HTTPS with a certificate from a local CA in the demo's instance.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option("--idp-port", default=8081, show_default=True, type=click.IntRange(1, 65535))
def demo(once: bool, reset: bool, tls: bool, port: int, idp_port: int) -> None:
    """Run the demo, from an identity provider's key to a change request, then keep serving until Ctrl-C.

    The demo has an instance of its own, in the folder demo of the instance folder.
    """
    if port == idp_port:
        raise click.UsageError("--port and --idp-port must differ.")
    folder = find_demo_folder()
    for number in (port, idp_port):
        require_free_port(HOST, number)
    if reset:
        remove_demo_folder(folder)
    password = make_demo_folder(folder)
    overrides = {
        **dict.fromkeys(SETTINGS_OF_OTHERS, ""),
        "base_url": f"{'https' if tls else 'http'}://{HOST}:{port}",
        "jwks_allow_loopback": "1",
        "admin_password": password,
    }
    app = create_app(instance_path=folder, overrides=overrides)
    _prepare_demo(app, password, f"http://{HOST}:{idp_port}")
    servers = DemoServers(
        base_url=overrides["base_url"],
        idp_url=f"http://{HOST}:{idp_port}",
        admin=ADMIN_USER_NAME,
        password=password,
        folder=folder,
        ca=ensure_certificate(folder / "tls", HOST).ca if tls else None,
        cooldown_seconds=int(app.config["SETTINGS"].jwks_refetch_cooldown.total_seconds()),
    )
    variables = {f"{PREFIX}{name.upper()}": value for name, value in overrides.items()}
    environment = {**os.environ, **variables, INSTANCE_PATH_VARIABLE: str(folder)}
    signal.signal(signal.SIGTERM, _as_interrupt)
    with contextlib.suppress(KeyboardInterrupt), _processes(servers, port, idp_port, environment) as processes:
        _run_steps(servers, app)
        if once:
            return
        click.echo("\nBoth servers keep running; press Ctrl-C to stop them.")
        _watch(processes)


def _prepare_demo(app: Flask, password: str, idp_url: str) -> None:
    prepare_instance(app)
    with working_on(app):
        seed_demo(admin_password=password)
        seed_demo_sign_on(idp_url)
        forget_demo_run(INTEGRATIONS)
        commit()


def _run_steps(servers: DemoServers, app: Flask) -> None:
    try:
        run = run_steps(servers)
    except DemoFailed as failure:
        raise ChangegateError(str(failure)) from None
    with working_on(app):
        seed_demo_history(INTEGRATIONS)
        commit()
    print_links(run)


@contextlib.contextmanager
def _processes(
    servers: DemoServers, port: int, idp_port: int, environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run both servers, and stop both at the end."""
    changegate = [sys.executable, "-m", "changegate.cli", "serve", "--host", HOST, "--port", str(port)]
    provider = [sys.executable, "-m", "demo_idp.cli", "serve", "--host", HOST, "--port", str(idp_port)]
    provider += ["--changegate", servers.base_url, "--audience", AUDIENCE]
    if servers.ca:
        changegate.append("--tls")
        provider += ["--changegate-ca", str(servers.ca)]
    # Started in sessions of their own: only this process gets Ctrl-C, and stops the servers in order.
    started = [_start(command, environment) for command in (changegate, provider)]
    try:
        _wait_until_ready(f"{servers.base_url}/readyz", started[0], servers)
        _wait_until_ready(f"{servers.idp_url}/healthz", started[1], servers)
        yield started
    finally:
        _stop(started)


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)  # noqa: S603 - a command of ours


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], servers: DemoServers) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2, verify=servers.verify).ok:
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
