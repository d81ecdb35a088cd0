"""Measure one server process against its floors: `python -m tests.bench`."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from tests.bench import floors, product, servers
from tests.bench.cases import Case, floor_cases, product_cases
from tests.bench.load import require_wrk
from tests.bench.report import show, write_json
from tests.bench.rounds import measure
from tests.bench.signing import Signer, serve_key_set

CHANGES = 1000


def start_floors(stack: ExitStack, folder: Path, signer: Signer) -> list[Case]:
    """Serve the floors until the stack closes; return their cases."""
    sys_ids = floors.prepare(folder, signer.rsa_public_pem(), CHANGES)
    port = servers.free_port()
    env = servers.environment({floors.FOLDER_VARIABLE: str(folder)})
    command = servers.floors_command(port)
    base_url = stack.enter_context(servers.serving(command, port, env, folder / "log"))
    return floor_cases(base_url, folder, signer, sys_ids)


def start_product(stack: ExitStack, folder: Path, signer: Signer, tell: Callable[[str], None]) -> list[Case]:
    """Serve the product with a filled instance until the stack closes; return its cases."""
    tell("setting up an instance")
    jwks_url = stack.enter_context(serve_key_set(signer.key_set()))
    instance = product.set_up(folder / "instance", jwks_url)
    port = servers.free_port()
    command = servers.product_command(port)
    base_url = stack.enter_context(servers.serving(command, port, instance.env, folder / "log"))
    token = product.get_token(base_url, instance, signer)
    tell(f"creating {CHANGES:,} changes")
    sys_ids = product.create_changes(base_url, token, CHANGES)
    return product_cases(base_url, folder, instance, signer, token, sys_ids)


def run(console: Console, runs: int, seconds: int, json_file: Path | None, only_floors: bool) -> None:
    """Start everything, measure, report, and leave nothing behind."""
    require_wrk()
    # Beside the code, not in /tmp: where that is memory, a durable commit would cost nothing.
    build = servers.ROOT / "build"
    build.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=build)))
        for name in ("floors", "product"):
            (folder / name).mkdir()
        signer = Signer()
        with console.status("starting") as status:
            cases = start_floors(stack, folder / "floors", signer)
            if not only_floors:
                cases += start_product(stack, folder / "product", signer, status.update)
            results = measure(cases, runs, seconds, status.update)
    show(console, cases, results)
    if json_file:
        write_json(json_file, results)


@click.command()
@click.option("--seconds", default=3, show_default=True, type=click.IntRange(1, 60), help="Per run.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 50), help="Runs per case.")
@click.option("--quick", is_flag=True, help="One run of one second: proves that all works.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the numbers to a file.")
@click.option("--only-floors", is_flag=True, help="Measure the floors alone.")
def main(seconds: int, runs: int, quick: bool, json_file: Path | None, only_floors: bool) -> None:
    """Measure one server process against its floors."""
    if quick:
        seconds = runs = 1
    run(Console(), runs, seconds, json_file, only_floors)


if __name__ == "__main__":
    main()
