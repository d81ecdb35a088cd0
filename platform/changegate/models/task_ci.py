"""Affected configuration items of a task, and the services that it impacts."""

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


class TaskCmdbCiService(Record, Base):
    """A service or service offering that depends on an item of a task. A refresh keeps manually added ones."""

    __tablename__ = "task_cmdb_ci_service"
    __table_args__ = (UniqueConstraint("task", "cmdb_ci_service"),)

    task: Mapped[str] = reference("Task", "task", ondelete="CASCADE")
    cmdb_ci_service: Mapped[str] = reference(
        "Service", "cmdb_ci_service", stored_in="cmdb_ci", ondelete="CASCADE", index=True
    )
    manually_added: Mapped[bool] = boolean("Manually added", default=True)
