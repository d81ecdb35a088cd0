"""The `demo-idp` command."""

import signal
import socket
from functools import partial

import click
from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from demo_idp.factory import create_app

KILL_TIMEOUT_SECONDS = 5


@click.group()
def main() -> None:
    """Run an identity provider for trying out JWT bearer integrations."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65535))
def serve(host: str, port: int) -> None:
    """Serve the identity provider until interrupted."""
    require_free_port(host, port)
    base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"Demo identity provider: {base_url}")
    run_server(host, port, base_url)


def require_free_port(host: str, port: int) -> None:
    """Raise an error if the server cannot listen on the port."""
    # Granian shares ports (SO_REUSEPORT): a second server would start, and get half of the requests.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            # As the server will: connections that just ended do not make a port busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host} port {port}: {error.strerror}.") from None


def run_server(host: str, port: int, base_url: str) -> None:
    """Serve with Granian, with one worker, because the keys are in its memory."""
    server = Granian(
        "demo_idp.factory:create_app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=4,
        log_level=LogLevels.warning,
        factory=True,
        workers_kill_timeout=KILL_TIMEOUT_SECONDS,
    )
    server.serve(target_loader=partial(load_app, base_url), wrap_loader=False)


def load_app(base_url: str) -> Flask:
    """Build the app inside the worker; the worker ignores Ctrl-C, which its parent handles."""
    # A terminal sends Ctrl-C to both. A worker that gets its parent's SIGTERM on top of its own
    # SIGINT hangs for ever about once in twelve times (Granian 2.8.7, measured).
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    return create_app(base_url=base_url)


if __name__ == "__main__":
    main()
