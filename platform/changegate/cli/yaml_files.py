"""YAML files that commands read, from a path or from stdin."""

import sys
from pathlib import Path

import click

from changegate.errors import ChangegateError
from changegate.yaml_text import MAX_YAML_CHARACTERS

# One byte more than the longest text that is accepted, so that a longer one is recognized without reading all of it.
_MOST_BYTES = MAX_YAML_CHARACTERS * 4 + 1
file_option = click.option("-f", "--file", "file", required=True, metavar="FILE", help="A YAML file; - reads stdin.")


def read_yaml_file(file: str) -> tuple[str, str]:
    """Return the text of a file, and its name for error messages. Raises `ChangegateError`."""
    shown_as = "stdin" if file == "-" else file
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES) if file == "-" else _bytes_of(file)
        return data.decode("utf-8-sig"), shown_as
    except UnicodeDecodeError:
        raise ChangegateError(f"{shown_as} is not valid UTF-8.") from None


def _bytes_of(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(_MOST_BYTES)
