"""The commands that work with a running demo identity provider over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import click
import requests

from demo_idp.behaviors import BEHAVIORS
from demo_idp.layouts import LAYOUTS
from demo_idp.signing_key import ALGORITHMS

TIMEOUT_SECONDS = 60
Decorator = Callable[[Any], Any]

URL = click.option(
    "--url", default="http://127.0.0.1:8081", show_default=True, help="The address of the demo identity provider."
)
TOKEN_OPTIONS = (
    click.option("--layout", type=click.Choice(list(LAYOUTS)), help="The provider whose tokens it looks like."),
    click.option("--audience", "aud", help="The audience; by default that of the running server."),
    click.option("--subject", "sub", help="The subject; by default that of the layout."),
    click.option("--algorithm", "alg", type=click.Choice(ALGORITHMS), help="The algorithm of the signature."),
    click.option("--lifetime", "lifetime_seconds", type=int, help="The lifetime in seconds."),
    click.option("--claims", help="Further claims as a JSON object; null leaves a claim out."),
)
CLIENT_OPTIONS = (
    click.option("--client-id", help="The client ID of the integration; by default the one last used on the page."),
    click.option("--client-secret", envvar="DEMO_IDP_CLIENT_SECRET", help="Its secret, or DEMO_IDP_CLIENT_SECRET."),
)


def with_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds several options, and the address of the server."""

    def decorate(command: Any) -> Any:
        for option in reversed((*options, URL)):
            command = option(command)
        return command

    return decorate


@click.command("list")
def list_behaviors() -> None:
    """List the behaviors, with what Changegate must do about each."""
    for behavior in BEHAVIORS.values():
        click.echo(f"{behavior.name:20} {behavior.reason or 'accepted':26} {behavior.does}")


@click.command()
@with_options(*TOKEN_OPTIONS)
def sign(url: str, **order: Any) -> None:
    """Sign a token and print it."""
    click.echo(call(url, "/sign", order)["assertion"])


@click.command()
@with_options(*TOKEN_OPTIONS, *CLIENT_OPTIONS)
def send(url: str, **order: Any) -> None:
    """Sign a token, have the server send it to Changegate, and print the outcome."""
    report(call(url, "/send", order))


@click.command()
@click.argument("name", type=click.Choice(list(BEHAVIORS)))
@click.option("--send/--no-send", default=True, show_default=True, help="Send a token to Changegate afterwards.")
@with_options(*TOKEN_OPTIONS, *CLIENT_OPTIONS)
def do(name: str, url: str, **order: Any) -> None:
    """Perform a behavior, send a token, and print the outcome; exits with code 1 if it is not what must happen."""
    click.echo(f"{BEHAVIORS[name].does} {BEHAVIORS[name].must}")
    report(call(url, f"/behaviors/{name}", order))


def report(result: dict[str, Any]) -> None:
    """Print the outcome of an exchange, and exit with code 1 if it is not what must happen."""
    click.echo(result["line"])
    for answer in result["answers"]:
        if answer["event"]:
            click.echo(f"Event: {answer['event']}")
    if result["as_expected"] is False:
        raise SystemExit(1)


def call(url: str, path: str, order: dict[str, Any]) -> dict[str, Any]:
    """Post an order, without the options that were not given; raises ClickException with the server's message."""
    body = {name: value for name, value in order.items() if value is not None}
    try:
        if "claims" in body:
            body["claims"] = json.loads(body["claims"])
        answer = requests.post(url.rstrip("/") + path, json=body, timeout=TIMEOUT_SECONDS)
        content: dict[str, Any] = answer.json()
    except requests.JSONDecodeError:
        raise click.ClickException(f"{url} is not a demo identity provider.") from None
    except requests.RequestException as problem:
        raise click.ClickException(f"There is no answer from {url} ({type(problem).__name__}).") from None
    except ValueError:
        raise click.BadParameter("it must be a JSON object.", param_hint="--claims") from None
    if not answer.ok:
        raise click.ClickException(content.get("error_description", answer.reason))
    return content
