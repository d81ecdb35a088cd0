"""The `demo-idp` command."""

import signal
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import click
from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from demo_idp.commands import do, list_behaviors, send, sign
from demo_idp.exchange import Changegate
from demo_idp.factory import DEFAULT_CHANGEGATE, create_app

KILL_TIMEOUT_SECONDS = 5


@click.group()
def main() -> None:
    """Run an identity provider for trying out JWT bearer integrations."""


for command in (list_behaviors, sign, send, do):
    main.add_command(command)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65535))
@click.option("--allow-remote", is_flag=True, help="Listen on an address that other machines can reach.")
@click.option("--base-url", help="The URL that others know this server by, and the issuer; by default host and port.")
@click.option(
    "--changegate", "changegate_url", default=DEFAULT_CHANGEGATE, show_default=True, help="Where tokens are sent."
)
@click.option(
    "--changegate-ca", type=click.Path(exists=True, dir_okay=False), help="The CA of Changegate's certificate."
)
@click.option("--audience", help="The default audience of tokens; by default the URL of Changegate.")
def serve(
    host: str,
    port: int,
    allow_remote: bool,
    base_url: str | None,
    changegate_url: str,
    changegate_ca: str | None,
    audience: str | None,
) -> None:
    """Serve the identity provider until interrupted."""
    if not allow_remote and not is_loopback(host):
        raise click.UsageError(
            f"{host} is not a loopback address. Everyone who reaches this server can sign any token: add "
            "--allow-remote only in a network that you trust."
        )
    if base_url is None and is_unspecified(host):
        raise click.UsageError(f"{host} stands for every address of this machine: name the server with --base-url.")
    require_free_port(host, port)
    address = base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"Demo identity provider, for demonstration only: {address}")
    run_server(host, port, partial(load_app, address, changegate_url, changegate_ca, audience))


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_unspecified(host: str) -> bool:
    """Return whether an address stands for every address of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


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


def run_server(host: str, port: int, load: Callable[[], Flask]) -> None:
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
    server.serve(target_loader=load, wrap_loader=False)


def load_app(base_url: str, changegate_url: str, changegate_ca: str | None, audience: str | None) -> Flask:
    """Build the app inside the worker; the worker ignores Ctrl-C, which its parent handles."""
    # A terminal sends Ctrl-C to both. A worker that gets its parent's SIGTERM on top of its own
    # SIGINT hangs forever about once in twelve times (Granian 2.8.7, measured).
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    return create_app(base_url=base_url, changegate=Changegate(changegate_url, changegate_ca), audience=audience)


if __name__ == "__main__":
    main()
