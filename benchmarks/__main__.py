"""Measure one server process against its floors: `python -m benchmarks`."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from benchmarks import servers
from benchmarks.bounds import tail_bounds
from benchmarks.databases import (
    NO_POSTGRESQL,
    POSTGRESQL,
    SQLITE,
    Databases,
    SqliteFiles,
    has_postgres,
    start_postgres,
)
from benchmarks.errors import BenchFailed
from benchmarks.load import require_wrk
from benchmarks.memory import page_through
from benchmarks.processors import OTHERS, kept_to
from benchmarks.query_times import write_queries as document_queries
from benchmarks.report import Findings, show, write_json
from benchmarks.rounds import measure
from benchmarks.selection import OF_A_MILLION, QUERIES, Selection, select
from benchmarks.stage import StageSetting, Tell

USUAL_SIZE = 100_000
GREAT_SIZE = 1_000_000


@dataclass(frozen=True)
class Plan:
    """The extent of the measurement."""

    runs: int
    seconds: int
    sizes: Sequence[int]
    only_floors: bool
    selection: Selection


def run(databases: Databases, folder: Path, plan: Plan, tell: Tell) -> Findings:
    """Start all servers on one kind of database, measure, and stop them."""
    with ExitStack() as stack:
        setting = StageSetting(stack, databases, folder, tell)
        stage = setting.set_stage(plan.sizes, only_floors=plan.only_floors, selection=plan.selection)
        memory = None
        if stage.site and plan.selection.is_all:
            # Before all other requests to the worker.
            tell(f"{databases.name}: reading {plan.sizes[0]:,} records in pages")
            memory = page_through(stage.site)
        results = measure(stage.cases, plan.runs, plan.seconds, lambda said: tell(f"{databases.name}: {said}"))
        bounds = [*tail_bounds(results), *stage.bounds()]
        queries = stage.living[-1].found if stage.living else ()
        return Findings(databases.name, stage.cases, results, memory, bounds, queries)


def choose(database: str | None, console: Console) -> list[str]:
    """Return the kinds of databases to measure: those that are requested and installed."""
    names = [database] if database else [SQLITE, POSTGRESQL]
    if POSTGRESQL in names and not has_postgres():
        if database:
            raise BenchFailed(NO_POSTGRESQL)
        console.print(NO_POSTGRESQL)
        names.remove(POSTGRESQL)
    return names


def measure_all(names: Sequence[str], plan: Plan, console: Console) -> Iterator[Findings]:
    """Measure one kind of database after the other."""
    # Beside the code, since /tmp may be memory, where a durable commit would cost nothing.
    build = servers.ROOT / "build"
    build.mkdir(exist_ok=True)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder, console.status("starting") as status:
            databases = SqliteFiles(Path(folder)) if name == SQLITE else start_postgres()
            yield run(databases, Path(folder), plan, status.update)


@click.command()
@click.option("--seconds", default=2, show_default=True, type=click.IntRange(1, 60), help="Per run.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 50), help="Runs per case.")
@click.option(
    "--million/--no-million", default=None, help=f"Measure with {GREAT_SIZE:,} changes too; done unless --quick."
)
@click.option("--quick", is_flag=True, help="One run of one second, without the million: checks that all works.")
@click.option(
    "--database",
    type=click.Choice([SQLITE, POSTGRESQL], case_sensitive=False),
    help="Only this database. By default, both, PostgreSQL if it is installed.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the numbers to a file.")
@click.option("--write-queries", is_flag=True, help="Write the results of --only queries to docs/queries.md.")
@click.option("--only-floors", is_flag=True, help="Measure only the floors.")
@click.option("--only", metavar="CASES", help="Only these cases, such as d,f or d-flood or scopes, and their floors.")
def main(
    seconds: int,
    runs: int,
    million: bool | None,
    quick: bool,
    database: str | None,
    json_file: Path | None,
    write_queries: bool,
    only_floors: bool,
    only: str | None,
) -> None:
    """Measure one server process against its floors, with 100,000 changes and with a million."""
    if quick:
        seconds = runs = 1
    with_million = not quick if million is None else million
    selection = select(only)
    with_million = with_million and not only_floors and selection.wants(*OF_A_MILLION, QUERIES)
    sizes = [USUAL_SIZE, GREAT_SIZE] if with_million else [USUAL_SIZE]
    require_wrk()
    console = Console()
    plan = Plan(runs, seconds, sizes, only_floors, selection)
    with kept_to(OTHERS):
        all_findings = list(measure_all(choose(database, console), plan, console))
    show(console, all_findings)
    if json_file:
        write_json(json_file, all_findings)
    if write_queries:
        of_databases = {findings.database: findings.queries for findings in all_findings}
        document_queries(servers.ROOT / "docs" / "queries.md", of_databases, sizes[-1])


if __name__ == "__main__":
    main()
