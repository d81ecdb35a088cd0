"""What the page of a task shows besides its form: comments and work notes."""

from collections.abc import Mapping
from typing import Any

from changegate.console.changes.activity import list_notes
from changegate.console.records.extensions import Extension
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord


def _facts(who: Caller, record: WireRecord) -> Mapping[str, Any]:
    return {"notes": list_notes(who, record["sys_id"]["value"])}


PAGE = Extension("console/changes/task.html", _facts)
