"""Approvals: who is asked about a task, and what the answer is."""

from datetime import datetime

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, choice, instant, integer, reference, string, text
from changegate.models.task import APPROVALS


class SysapprovalApprover(Record, Base):
    """The approval of one task by one user; `document_id` names the record that it is about."""

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
