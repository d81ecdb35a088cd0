"""A log whose reader is frozen."""

import logging
import os

from changegate.cli.stderr_lines import StderrLines


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("changegate", logging.ERROR, "", 0, text, None, None)


def test_lines_that_are_not_read_are_dropped_and_counted() -> None:
    reader, writer = os.pipe()
    lines = StderrLines(writer)
    # As many bytes as no pipe holds, and one line that is longer than what a pipe takes at once.
    for text in ("x" * 10_000, *["x" * 100] * 20_000):
        lines.handle(record(text))
    read = b""
    while not read.endswith(b"shown\n"):
        read += os.read(reader, 2**20)
        lines.handle(record("shown"))
    first, *_, _ = read.split(b"\n")
    assert first == b"x" * 10_000
    assert b" lines of this log were dropped: stderr was not read\nshown\n" in read
    os.close(reader)
    lines.handle(record("no reader"))
    os.close(writer)
