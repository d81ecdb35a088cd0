"""The calculation of a risk that a caller asks for."""

from changegate.errors import OperationFailed
from changegate.services.access.caller import Caller
from changegate.services.process.changes import changes_table
from changegate.services.process.edits import after_edit
from changegate.services.process.risk_calculation import EXPLANATION, RISK, SETTLED_STATES, write_risk
from changegate.services.tables.reading.records import RecordRow, get_row, require_operation
from changegate.services.tables.versions import VersionCheck, require_version_of
from changegate.services.tables.writing.written_rows import lock_row

SETTLED = "risk: the risk is calculated until a change is implemented or canceled, and stays as it is afterwards"


def calculate_risk(sys_id: str, caller: Caller, *, condition: VersionCheck | None = None) -> RecordRow:
    """Calculate the risk of a change for a caller, also if it was explicit; return the change in the order of fields.

    Raises `AccessRefused`, `RecordNotFound`, `VersionOutdated`, and `OperationFailed` in a state that settles the risk.
    """
    table = changes_table()
    require_operation(table, caller.permissions, "update")
    change = lock_row(table, caller, sys_id)
    require_version_of(change, condition)
    caller.permissions.require_writable([RISK], table.integration_of(change))
    if change["state"] in SETTLED_STATES:
        raise OperationFailed(SETTLED)
    if write_risk(change, caller):
        after_edit(change["sys_id"], {EXPLANATION}, caller)
    return get_row(table, caller, change["sys_id"], table.fields_for(caller.permissions))
