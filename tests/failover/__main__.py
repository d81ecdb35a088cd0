"""`make failover`: what callers of two nodes get while a real engine fails, one scenario after the other."""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.conftest import ADMIN_PASSWORD
from tests.failover import scaling
from tests.failover.engines import (
    Cluster,
    running_cluster,
    running_haproxy,
    running_pgbouncer,
    running_valkey,
    wait_for,
)
from tests.failover.load import Answers, find_losses, working
from tests.support.live_desk import LiveDesk
from tests.support.postgres import prepared_database_of_postgres
from tests.support.servers import Running, running_changegate, running_demo_idp

SECONDS_BEFORE = 4
SECONDS_AFTER = 12
# How long after a new primary, or after the end of a fault, callers are served again.
MOST_SECONDS_UNTIL_SERVED = 10
Fault = Callable[[Cluster, Answers], float]


@dataclass(frozen=True)
class Scenario:
    """A way to PostgreSQL and a fault, which returns when callers can be served again."""

    route: str
    fault: Fault
    is_strict: bool = False


def kill_primary(cluster: Cluster, answers: Answers) -> float:
    before = cluster.primary()
    os.kill(before.postmaster, signal.SIGKILL)
    wait_for("a new primary", lambda: cluster.primary() is not before)
    return answers.now()


def switch_over(cluster: Cluster, answers: Answers) -> float:
    cluster.switch_over()
    cluster.primary()
    return answers.now()


@contextmanager
def frozen(cluster: Cluster, *, is_primary: bool) -> Iterator[None]:
    member = cluster.primary() if is_primary else cluster.standby()
    member.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        member.signal(signal.SIGCONT)


def freeze_primary(cluster: Cluster, answers: Answers) -> float:
    before = cluster.primary()
    with frozen(cluster, is_primary=True):
        wait_for("a new primary", lambda: cluster.primary() is not before)
        at = answers.now()
        # While the host stays frozen, as a host that was lost would.
        time.sleep(2 * MOST_SECONDS_UNTIL_SERVED)
    return at


def freeze_standby(cluster: Cluster, answers: Answers) -> float:
    with frozen(cluster, is_primary=False):
        time.sleep(SECONDS_AFTER)
    return answers.now()


SCENARIOS = {
    "primary killed": Scenario("hosts", kill_primary),
    "switchover": Scenario("hosts", switch_over),
    "switchover behind HAProxy": Scenario("haproxy", switch_over),
    "switchover behind PgBouncer": Scenario("pgbouncer", switch_over),
    "primary frozen": Scenario("hosts", freeze_primary),
    "primary frozen behind HAProxy": Scenario("haproxy", freeze_primary),
    "standby frozen": Scenario("hosts", freeze_standby, is_strict=True),
}
STORE_SCENARIOS = {"store of counters killed": signal.SIGKILL, "store of counters frozen": signal.SIGSTOP}


@contextmanager
def two_nodes(folder: Path, **settings: str) -> Iterator[tuple[Running, Running]]:
    settings = {"admin_password": ADMIN_PASSWORD, "secret_key": "f" * 40, "base_url": "http://127.0.0.1:1", **settings}
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(running_changegate(folder / name, "--no-pin-workers", **settings))
            for name in ("node1", "node2")
        )
        for node in (first, second):
            # Nodes that log into a full pipe would wait for it.
            threading.Thread(target=lambda output=node.process.stdout: [*output], daemon=True).start()
        yield first, second


@contextmanager
def way_to(cluster: Cluster, route: str) -> Iterator[str]:
    """Give the URL by which the nodes reach the cluster."""
    with ExitStack() as stack:
        if route == "hosts":
            yield cluster.hosts
            return
        port = stack.enter_context(running_haproxy(cluster))
        if route == "pgbouncer":
            port = stack.enter_context(running_pgbouncer(cluster, port))
        wait_for(route, lambda: _is_reached(cluster, port))
        # Until its checks have failed twice, HAProxy also leads to the standby, and then closes these connections.
        time.sleep(SECONDS_BEFORE)
        yield cluster.url_of(f"127.0.0.1:{port}")


def _is_reached(cluster: Cluster, port: int) -> bool:
    psycopg.connect(cluster.url_of(f"127.0.0.1:{port}").replace("+psycopg", ""), connect_timeout=2).close()
    return True


def run(name: str, scenario: Scenario, folder: Path, idp_url: str) -> list[str]:
    """Run a scenario, print what callers got, and return what they must never get."""
    with running_cluster(folder, is_strict=scenario.is_strict) as cluster, way_to(cluster, scenario.route) as url:
        with two_nodes(folder, database_url=url, ratelimit_enabled="0") as nodes:
            desk = LiveDesk.enrol(nodes[0], idp_url)
            with working([node.url for node in nodes], desk) as answers:
                time.sleep(SECONDS_BEFORE)
                wait_for("a change", lambda: answers.created)
                began = answers.now()
                served_at = scenario.fault(cluster, answers)
                time.sleep(SECONDS_AFTER)
            desk.close()
        return report(name, answers, began, served_at, find_losses(cluster, answers))


def run_store(name: str, number: signal.Signals, folder: Path, idp_url: str) -> list[str]:
    """Take the shared store of counters away from two nodes; wrong passwords are then counted by each of them."""
    with running_cluster(folder) as cluster, running_valkey(folder) as (port, process):
        settings = {"database_url": cluster.hosts, "ratelimit_storage_url": f"redis://127.0.0.1:{port}/0"}
        with two_nodes(folder, **settings) as nodes:
            desk = LiveDesk.enrol(nodes[0], idp_url)
            with working([node.url for node in nodes], desk) as answers:
                time.sleep(SECONDS_BEFORE)
                began = answers.now()
                process.send_signal(number)
                time.sleep(SECONDS_AFTER)
            desk.close()
        return report(name, answers, began, began, find_losses(cluster, answers))


def run_scaling(name: str, folder: Path, idp_url: str) -> list[str]:
    """Compare two nodes with one, by the processor time that they get: other work on the machine does not matter.

    PostgreSQL has no standby here, which would need most of a processor.
    """
    with prepared_database_of_postgres() as url, two_nodes(folder, database_url=url, ratelimit_enabled="0") as nodes:
        desk = LiveDesk.enrol(nodes[0], idp_url, scopes=["useraccount"])
        by_work, measured, lines = scaling.compare(nodes, desk)
        desk.close()
    say(f"\n{name}: {by_work:.2f} times if each node gets the same processor time, here {measured:.2f} times")
    for line in lines:
        say(f"  {line}")
    return [] if by_work >= scaling.LEAST_RATIO else [name]


def report(name: str, answers: Answers, began: float, served_at: float, losses: list[str]) -> list[str]:
    again = answers.first_created_after(served_at) - served_at
    say(f"\n{name}: the fault lasted {served_at - began:.1f} s, a change was created {again:.1f} s after it")
    say(
        f"  longest time without a created change {answers.longest_gap():.1f} s, slowest answer {answers.slowest:.1f} s"
    )
    say("  " + ", ".join(f"{kind}: {count}" for kind, count in sorted(answers.statuses.items())))
    say(f"  {len(answers.created)} created, {len(answers.unanswered)} refused, {len(losses)} lost or doubled")
    late = [f"served again only after {again:.1f} s"] if again > MOST_SECONDS_UNTIL_SERVED else []
    faults = [*answers.faults, *losses, *late]
    for fault in faults[:10]:
        say(f"  FAULT {fault}")
    return faults


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    failed = []
    runs: dict[str, Callable[[Path, str], list[str]]] = {
        name: (lambda folder, idp, name=name, it=it: run(name, it, folder, idp)) for name, it in SCENARIOS.items()
    }
    runs |= {
        name: (lambda folder, idp, name=name, it=it: run_store(name, it, folder, idp))
        for name, it in STORE_SCENARIOS.items()
    }
    runs["two nodes carry"] = lambda folder, idp: run_scaling("two nodes carry", folder, idp)
    with running_demo_idp() as idp_url:
        for name in names or runs:
            with tempfile.TemporaryDirectory(prefix="changegate-failover-", ignore_cleanup_errors=True) as made:
                Path(made).chmod(0o755)
                if runs[name](Path(made), idp_url):
                    failed.append(name)
    say(f"\n{len(names or runs) - len(failed)} passed, {len(failed)} failed {', '.join(failed)}".rstrip())
    return bool(failed)


sys.exit(main(sys.argv[1:]))
