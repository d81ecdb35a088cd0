"""Exports of lists as files."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

import orjson

from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import Table

MOST_EXPORTED = 10_000
# Spreadsheets evaluate a cell that begins with one of these.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
Export = Callable[[Table, Sequence[str], Sequence[WireRecord]], bytes]


def _csv(table: Table, columns: Sequence[str], records: Sequence[WireRecord]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.entries[name].label for name in columns)
    writer.writerows(_csv_rows(columns, records))
    # The byte order mark makes spreadsheets read the file as UTF-8.
    return text.getvalue().encode("utf-8-sig")


def _csv_rows(columns: Sequence[str], records: Sequence[WireRecord]) -> Iterator[list[str]]:
    for record in records:
        yield [_harmless(str(record[name]["display_value"])) for name in columns]


def _harmless(text: str) -> str:
    """Return the text of a cell that is no formula; spreadsheets read what follows an apostrophe as text."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _json(_table: Table, columns: Sequence[str], records: Sequence[WireRecord]) -> bytes:
    return orjson.dumps([{name: record[name] for name in ("sys_id", *columns)} for record in records])


FORMATS: Mapping[str, tuple[Export, str]] = {"csv": (_csv, "text/csv"), "json": (_json, "application/json")}
