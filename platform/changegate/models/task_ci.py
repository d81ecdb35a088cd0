"""Affected configuration items of a task."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, reference


class TaskCi(Record, Base):
    """An item affected by a task, in addition to its `cmdb_ci`."""

    __tablename__ = "task_ci"
    __table_args__ = (UniqueConstraint("task", "ci_item"),)

    task: Mapped[str] = reference("Task", "task", ondelete="CASCADE")
    ci_item: Mapped[str] = reference("Configuration Item", "cmdb_ci", ondelete="CASCADE", index=True)
    manual_proposed_change: Mapped[bool] = boolean("Manual proposed change", default=False)
