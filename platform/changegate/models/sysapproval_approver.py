"""Approvals: the users who must approve a task, and their answers."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import (
    Record,
    boolean,
    choice,
    index_of_few,
    index_of_filled,
    index_on_postgres,
    instant,
    integer,
    integer_choice,
    reference,
    string,
    text,
)
from changegate.models.change_request import CHANGE_STATES
from changegate.models.task import APPROVALS

ANSWERED_AS = {"approver": "Approver", "delegate": "Delegate", "administrator": "Administrator"}


class SysapprovalApprover(Record, Base):
    """The approval of a task by a user; `document_id` is the sys_id of the record to approve.

    Rows outlive the change, whose sys_id they keep, and keep the users whom they name from being deleted:
    they are evidence. The columns after `order` are filled by approval policies; rows that no policy requested are
    informational.
    """

    __tablename__ = "sysapproval_approver"
    __table_args__ = (
        *(
            Index(f"ix_sysapproval_approver_{name}", name, "state", "sys_created_on", "sys_id")
            for name in ("approver", "group")
        ),
        Index("ix_sysapproval_approver_state", "state", "asked_by_policy", "approver"),
    )

    # Without a foreign key: an answer stays when its task is deleted.
    sysapproval: Mapped[str | None] = reference("Approval for", "task", is_stored_loose=True, index=True)
    approver: Mapped[str] = reference("Approver", "sys_user", ondelete="RESTRICT")
    state: Mapped[str] = choice("State", APPROVALS, default="not requested")
    comments: Mapped[str | None] = text("Comments")
    source_table: Mapped[str | None] = string("Source table", 80)
    document_id: Mapped[str | None] = string("Approving", 32)
    approval_source: Mapped[str | None] = string("Approval source", 100)
    due_date: Mapped[datetime | None] = instant("Due date")
    order: Mapped[int | None] = integer("Order")
    asked_by_policy: Mapped[bool] = boolean("Requested by a policy", is_read_only=True, default=False)
    # A round begins when the change leaves New; `stage` is the state on whose entry the approval was requested.
    round: Mapped[int | None] = integer("Round", is_read_only=True)
    stage: Mapped[int | None] = integer_choice("Requested in state", CHANGE_STATES, is_read_only=True)
    # Loose, because policies and rules may be edited and deleted: decisions hold them as they were.
    policy: Mapped[str | None] = reference(
        "Approval policy", "chg_policy_approval", is_stored_loose=True, is_read_only=True
    )
    approval_def: Mapped[str | None] = reference(
        "Approval rule", "chg_approval_def", is_stored_loose=True, is_read_only=True
    )
    group: Mapped[str | None] = reference("Group", "sys_user_group", ondelete="RESTRICT", is_read_only=True)
    answered_at: Mapped[datetime | None] = instant("Answered", is_read_only=True)
    answered_by: Mapped[str | None] = reference("Answered by", "sys_user", ondelete="RESTRICT", is_read_only=True)
    answered_as: Mapped[str | None] = choice("Answered as", ANSWERED_AS, is_read_only=True)
    content_hash: Mapped[str | None] = string("Content hash", 64, is_read_only=True)
    voided_at: Mapped[datetime | None] = instant("Voided", is_read_only=True)
    void_reason: Mapped[str | None] = text("Reason for voiding", is_read_only=True)
    expires: Mapped[datetime | None] = instant("Expires", is_read_only=True)
    reminded_at: Mapped[datetime | None] = instant("Reminded", is_read_only=True)
    escalated_at: Mapped[datetime | None] = instant("Escalated", is_read_only=True)
    # No Longer Required because of a hold; requested again when the hold ends.
    held_at: Mapped[datetime | None] = instant("On hold since", is_read_only=True)


_COLUMNS = SysapprovalApprover.__table__.c
# For the page of a user, and for the foreign key check when a user is deleted.
index_of_filled(*(_COLUMNS[_column] for _column in ("answered_by", "sys_created_on", "sys_id")))
# For the job that follows up deadlines and answers that have expired.
for _name in ("due_date", "expires"):
    _columns = (_COLUMNS[_column] for _column in ("state", _name, "sysapproval"))
    index_of_few(f"ix_sysapproval_approver_{_name}", _COLUMNS[_name].is_not(None), *_columns)
# For pages of all approvals. SQLite reads and sorts the entries of another index, which contain the same columns.
index_on_postgres("ix_sysapproval_approver_sys_created_on", _COLUMNS.sys_created_on, _COLUMNS.sys_id)
