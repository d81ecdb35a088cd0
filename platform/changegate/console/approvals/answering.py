"""Answers given on pages: to the version of an approval that was shown, and with a reason for a rejection."""

from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError, InputInvalid, OperationFailed, RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.approvals.rounds import TABLE
from changegate.services.tables.registry import get_table
from changegate.services.tables.versions import VersionCheck
from changegate.services.tables.writing.records import update_record

ANSWERS = ("approved", "rejected")
NO_REASON = "Enter why you reject it."


def answer_approval(
    sys_id: str, state: str, comments: str, caller: Caller, *, condition: VersionCheck
) -> ChangegateError | None:
    """Answer an approval in its shown version, and commit; return why the answer was refused, or None.

    Raises `RecordNotFound` if the caller may not see the approval, and `InputInvalid` for any other state.
    """
    if state not in ANSWERS:
        raise InputInvalid({"state": ["Approve or reject."]})
    if state == "rejected" and not comments.strip():
        return OperationFailed(NO_REASON)
    sent = {"state": state} | ({"comments": comments.strip()} if comments.strip() else {})
    answered = attempt(
        lambda: update_record(get_table(TABLE), caller, sys_id, sent, condition=condition), raised=(RecordNotFound,)
    )
    return answered if isinstance(answered, ChangegateError) else None
