"""The report on the terminal and as JSON: measurements, ratios, limits, and memory on each kind of database."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bounds import Bound
from benchmarks.cases import Case
from benchmarks.load import CONNECTIONS
from benchmarks.memory import BOUND_MB, PAGE_SIZE, Memory
from benchmarks.query_times import Finding
from benchmarks.ratios import ratios_of
from benchmarks.rounds import Results

COLORS = {"reached": "green", "below": "red", "kept": "green", "exceeded": "red", "reported": "default"}


@dataclass(frozen=True)
class Findings:
    """The results on one kind of database."""

    database: str
    cases: Sequence[Case]
    results: Results
    memory: Memory | None
    bounds: Sequence[Bound] = ()
    queries: Sequence[Finding] = ()

    def rates(self, connections: int) -> Mapping[str, float]:
        """Return the answers per second of every case."""
        return {name: found.rate for (name, used), found in self.results.items() if used == connections}


def machine() -> dict[str, str]:
    """Return the facts about the machine on which the numbers depend."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "granian": version("granian"),
        "flask": version("flask"),
        "system": platform.platform(terse=True),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def show(console: Console, all_findings: Sequence[Findings]) -> None:
    """Print the machine, then the measurements, ratios, limits, and memory on each kind of database."""
    console.print(" · ".join(f"{name}: {value}" for name, value in machine().items()))
    for findings in all_findings:
        console.print(_measurements(findings))
        console.print(_ratios(findings))
        if findings.bounds:
            console.print(_bounds(findings))
        if findings.memory:
            console.print(_memory_line(findings.memory))


def _measurements(findings: Findings) -> Table:
    table = Table("case", title=f"{findings.database}: one server process; medians")
    for heading in ("conns", "req/s", "µs/req", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for connections in CONNECTIONS:
        for case in findings.cases:
            m = findings.results[case.name, connections]
            speed = (f"{m.rate:,.0f}", f"{1e6 / m.rate:,.0f}")
            table.add_row(f"{case.name}  {case.label}", str(connections), *speed, f"{m.p50:.2f}", f"{m.p99:.2f}")
        table.add_section()
    return table


def _ratios(findings: Findings) -> Table:
    table = Table("ratio", "conns", "measured", "target", "", title=f"{findings.database}: against the floors")
    for connections in CONNECTIONS:
        for ratio, value in ratios_of(findings.rates(connections), connections):
            target = "" if ratio.target is None else f"{ratio.target:.2f}"
            table.add_row(ratio.name, str(connections), f"{value:.3f}", target, _colored(ratio.verdict(value)))
    return table


def _bounds(findings: Findings) -> Table:
    table = Table("limit", "measured", "at most", "", title=f"{findings.database}: limits")
    for bound in findings.bounds:
        limit = "" if bound.limit is None else f"{bound.limit:g}"
        table.add_row(bound.name, f"{bound.measured:,.2f}", limit, _colored(bound.verdict))
    return table


def _colored(verdict: str) -> str:
    return f"[{COLORS[verdict]}]{verdict}[/]"


def _memory_line(memory: Memory) -> str:
    verdict = "[green]flat[/]" if memory.is_flat else "[red]grows[/]"
    return (
        f"Memory of the worker while {memory.records:,} records were read in pages of {PAGE_SIZE:,}: "
        f"{memory.before_mb:.1f} MB before, {memory.after_mb:.1f} MB after "
        f"({memory.growth_mb:+.1f} MB; up to {BOUND_MB:.0f} is flat): {verdict}\n"
    )


def write_json(path: Path, all_findings: Sequence[Findings]) -> None:
    """Write all results: rates per second, latencies in milliseconds, memory in megabytes."""
    databases = {findings.database: _as_json(findings) for findings in all_findings}
    path.write_text(json.dumps({"machine": machine(), "databases": databases}, indent=2) + "\n")


def _as_json(findings: Findings) -> dict[str, object]:
    measurements = [
        {
            "case": name,
            "connections": used,
            "rate": round(m.rate, 1),
            "p50_ms": m.p50,
            "p99_ms": m.p99,
            "answers": m.requests,
        }
        for (name, used), m in sorted(findings.results.items())
    ]
    ratios = [
        {
            "ratio": f"{ratio.case}/{ratio.floor}",
            "connections": used,
            "measured": round(value, 4),
            "target": ratio.target,
            "verdict": ratio.verdict(value),
        }
        for used in CONNECTIONS
        for ratio, value in ratios_of(findings.rates(used), used)
    ]
    memory = findings.memory and _memory_as_json(findings.memory)
    bounds = [
        {"bound": bound.name, "measured": round(bound.measured, 4), "limit": bound.limit, "verdict": bound.verdict}
        for bound in findings.bounds
    ]
    return {"measurements": measurements, "ratios": ratios, "bounds": bounds, "memory": memory}


def _memory_as_json(memory: Memory) -> dict[str, object]:
    return {
        "records": memory.records,
        "page_size": PAGE_SIZE,
        "before_mb": round(memory.before_mb, 1),
        "after_mb": round(memory.after_mb, 1),
        "bound_mb": BOUND_MB,
        "is_flat": memory.is_flat,
    }
