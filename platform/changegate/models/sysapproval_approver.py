"""Approvals: the users who must approve a task, and their decisions."""

from datetime import datetime

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, choice, instant, integer, reference, string, text
from changegate.models.task import APPROVALS


class SysapprovalApprover(Record, Base):
    """The approval of a task by a user; `document_id` is the sys_id of the record to approve."""

    __tablename__ = "sysapproval_approver"

    sysapproval: Mapped[str | None] = reference("Approval for", "task", ondelete="CASCADE", index=True)
    approver: Mapped[str] = reference("Approver", "sys_user", ondelete="CASCADE", index=True)
    state: Mapped[str] = choice("State", APPROVALS, default="not requested")
    comments: Mapped[str | None] = text("Comments")
    source_table: Mapped[str | None] = string("Source table", 80)
    document_id: Mapped[str | None] = string("Approving", 32)
    approval_source: Mapped[str | None] = string("Approval source", 100)
    due_date: Mapped[datetime | None] = instant("Due date")
    order: Mapped[int | None] = integer("Order")
