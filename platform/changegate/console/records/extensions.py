"""What the pages of some tables show besides the generic form: a template that extends it, and its facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord

GENERIC = "console/records/record.html"


@dataclass(frozen=True, slots=True)
class Extension:
    """A template with blocks of `GENERIC`, and the function that reads what it shows of a record."""

    template: str
    facts: Callable[[Caller, WireRecord], Mapping[str, Any]]


# By table; filled when the console is registered, from the packages that extend a page.
EXTENSIONS: dict[str, Extension] = {}


def extension_of(table: str) -> Extension:
    """Return the extension of the page of a table, which is the generic page for most."""
    return EXTENSIONS.get(table, Extension(GENERIC, lambda _caller, _record: {}))
