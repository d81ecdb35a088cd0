"""The result on the terminal and as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.cases import Case, ratios_of
from tests.bench.rounds import CONNECTIONS, Results


def machine() -> dict[str, str]:
    """Return the facts without which the numbers mean little."""
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


def show(console: Console, cases: Sequence[Case], results: Results) -> None:
    """Print the machine, the measurements and the ratios."""
    console.print(" · ".join(f"{name}: {value}" for name, value in machine().items()))
    console.print(_measurements(cases, results))
    console.print(_ratios(results))


def _measurements(cases: Sequence[Case], results: Results) -> Table:
    table = Table("case", title="One server process; medians")
    for heading in ("conns", "req/s", "µs/req", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for connections in CONNECTIONS:
        for case in cases:
            m = results[case.name, connections]
            speed = (f"{m.rate:,.0f}", f"{1e6 / m.rate:,.0f}")
            table.add_row(f"{case.name}  {case.label}", str(connections), *speed, f"{m.p50:.2f}", f"{m.p99:.2f}")
        table.add_section()
    return table


def _ratios(results: Results) -> Table:
    table = Table("ratio", "conns", "measured", "target", "", title="Against the floors")
    for connections in CONNECTIONS:
        for ratio, value in ratios_of(_rates(results, connections)):
            verdict = "[green]reached[/]" if value >= ratio.target else "[red]below[/]"
            name = f"{ratio.case} / {ratio.floor}"
            table.add_row(name, str(connections), f"{value:.3f}", f"{ratio.target:.2f}", verdict)
    return table


def _rates(results: Results, connections: int) -> dict[str, float]:
    return {name: found.rate for (name, used), found in results.items() if used == connections}


def write_json(path: Path, results: Results) -> None:
    """Write machine, measurements and ratios: rates per second, latencies in milliseconds."""
    measurements = [
        {
            "case": name,
            "connections": used,
            "rate": round(m.rate, 1),
            "p50_ms": m.p50,
            "p99_ms": m.p99,
            "answers": m.requests,
        }
        for (name, used), m in sorted(results.items())
    ]
    ratios = [
        {
            "ratio": f"{r.case}/{r.floor}",
            "connections": used,
            "measured": round(value, 4),
            "target": r.target,
            "reached": value >= r.target,
        }
        for used in CONNECTIONS
        for r, value in ratios_of(_rates(results, used))
    ]
    document = {"machine": machine(), "measurements": measurements, "ratios": ratios}
    path.write_text(json.dumps(document, indent=2) + "\n")
