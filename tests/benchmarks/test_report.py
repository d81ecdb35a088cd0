"""The report shows what was measured on which database, and whether targets and limits are kept."""

import io
import json
from pathlib import Path

import pytest
from benchmarks.bounds import Bound
from benchmarks.cases import Case
from benchmarks.load import CONNECTIONS, Measurement, Traffic
from benchmarks.memory import Memory
from benchmarks.report import Findings, show, write_json
from rich.console import Console

CASES = [Case(name, f"case {name}", "", lambda _: Traffic(method="GET", feed=Path())) for name in ("f", "c")]
RATES = {"f": 350.0, "c": 1000.0}


@pytest.fixture
def findings() -> list[Findings]:
    results = {
        (name, used): Measurement(rate, p50=1.0, p99=2.0, requests=10)
        for name, rate in RATES.items()
        for used in CONNECTIONS
    }
    return [
        Findings(
            "SQLite", CASES, results, Memory(100_000, 120.0, 190.0), [Bound("f: fetches", 2, 1), Bound("f: all", 5)]
        ),
        Findings("PostgreSQL", CASES, results, None),
    ]


def shown(findings: list[Findings]) -> str:
    output = io.StringIO()
    show(Console(file=output, width=120), findings)
    return output.getvalue()


def test_every_database_has_its_tables(findings: list[Findings]) -> None:
    text = shown(findings)
    for name in ("SQLite", "PostgreSQL"):
        assert f"{name}: one server process; medians" in text
        assert f"{name}: against the floors" in text


def test_reached_and_missed_targets_are_distinguished(findings: list[Findings]) -> None:
    lines = [line.split("│")[1:-1] for line in shown(findings).splitlines() if "f / c" in line]
    rows = {tuple(cell.strip() for cell in line) for line in lines}
    expected = {("0.350", "0.30", "reached"), ("0.350", "0.40", "below")}
    assert {row[2:] for row in rows} == expected


def test_an_exceeded_limit_is_reported(findings: list[Findings]) -> None:
    lines = [line.split("│")[1:-1] for line in shown(findings).splitlines() if "f: " in line]
    rows = [tuple(cell.strip() for cell in line) for line in lines]
    assert rows == [("f: fetches", "2.00", "1", "exceeded"), ("f: all", "5.00", "", "reported")]


def test_memory_that_grows_is_reported(findings: list[Findings]) -> None:
    _, line = " ".join(shown(findings).split()).split("Memory")
    assert "100,000 records" in line
    assert "(+70.0 MB; up to 24 is flat): grows" in line


def test_the_file_holds_what_the_terminal_shows(findings: list[Findings], tmp_path: Path) -> None:
    write_json(tmp_path / "bench.json", findings)
    databases = json.loads((tmp_path / "bench.json").read_text())["databases"]
    verdicts = {(found["target"], found["verdict"]) for found in databases["PostgreSQL"]["ratios"]}
    assert verdicts == {(0.3, "reached"), (0.4, "below")}
    assert databases["SQLite"]["memory"]["is_flat"] is False
    assert databases["PostgreSQL"]["memory"] is None
    assert databases["SQLite"]["bounds"][0] == {"bound": "f: fetches", "measured": 2, "limit": 1, "verdict": "exceeded"}
    assert databases["PostgreSQL"]["bounds"] == []
    assert {found["rate"] for found in databases["SQLite"]["measurements"]} == set(RATES.values())
