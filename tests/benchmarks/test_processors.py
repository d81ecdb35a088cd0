"""No other process uses the server's processor."""

import os
import subprocess
import sys

import pytest
from benchmarks import processors

SHOWN = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]


def test_servers_and_the_rest_share_a_processor_only_where_there_is_one() -> None:
    assert len(processors.SERVERS) == 1
    assert processors.SERVERS | processors.OTHERS == processors.ALL
    assert processors.OTHERS.isdisjoint(processors.SERVERS) == (len(processors.ALL) > 1)


def test_processes_started_in_the_block_keep_its_processors() -> None:
    before = os.sched_getaffinity(0)
    with processors.kept_to(processors.SERVERS):
        shown = subprocess.run(SHOWN, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str(sorted(processors.SERVERS))
    assert os.sched_getaffinity(0) == before


def test_a_system_without_processor_affinity_is_measured_unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "CAN_CHOOSE", False)
    monkeypatch.delattr(os, "sched_setaffinity")
    with processors.kept_to(frozenset({10_000})):
        pass
