"""The growth of a worker is flagged, and the memory of the worker is measured, not that of its parent."""

import subprocess
import sys

import pytest
from benchmarks.errors import BenchFailed
from benchmarks.memory import BOUND_MB, Memory, resident_mb

# A parent that holds little, with a child that holds 64 MB until its input ends.
PARENT = """
import subprocess, sys
hold = "import sys; held = b'x' * (64 << 20); print(len(held), flush=True); sys.stdin.read()"
subprocess.run([sys.executable, "-c", hold])
"""


def test_growth_up_to_the_bound_is_flat() -> None:
    assert Memory(100_000, 130.0, 130.0 + BOUND_MB).is_flat


def test_growth_beyond_the_bound_is_flagged() -> None:
    assert not Memory(100_000, 130.0, 130.5 + BOUND_MB).is_flat


def test_the_child_of_a_server_is_its_worker() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin and parent.stdout
        parent.stdout.readline()
        held = resident_mb(parent.pid)
        parent.stdin.close()
    assert 64 < held < 128


def test_a_server_without_a_worker_cannot_be_measured() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as lonely:
        with pytest.raises(BenchFailed, match="has no worker"):
            resident_mb(lonely.pid)
        assert lonely.stdin
        lonely.stdin.write(b"\n")
        lonely.stdin.close()
