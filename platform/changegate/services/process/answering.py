"""Answers to the approvals of a change as a whole, whichever approvals wait for the caller."""

from changegate.errors import RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.approvals.answers import answer_pending
from changegate.services.approvals.rounds import Round
from changegate.services.process.changes import lock_change
from changegate.services.process.moves import apply_outcome
from changegate.services.tables.rules import Values
from changegate.services.tables.versions import VersionCheck


def answer_change(
    sys_id: str, state: str, comments: str | None, caller: Caller, *, condition: VersionCheck | None = None
) -> Values:
    """Answer every approval of a change that waits for the caller; return the change as it is then.

    Raises `RecordNotFound` if there is no such change, and the errors of `answer_pending`.
    """
    change = lock_change(sys_id) if sys_id.isprintable() else None
    if change is None:
        raise RecordNotFound
    return apply_outcome(change, answer_pending(Round(change, caller), state, comments, condition), caller)
