"""What nodes share besides records: jobs, which a worker runs later, at least once, and values of the cluster."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import SYS_ID_LENGTH, instant, integer, new_ordered_sys_id, string

MAX_JOB_KEY = 255
MAX_LAST_ERROR = 1000


class Job(Base):
    """A job that is waiting, leased, or failed; a job that is done is deleted. There is one job of a kind and key."""

    __tablename__ = "job"
    __table_args__ = (UniqueConstraint("kind", "job_key"), Index(None, "failed_at", "due_at"))

    # Ordered, so that jobs that are due at the same time run in the order in which they were enqueued.
    sys_id: Mapped[str] = mapped_column(String(SYS_ID_LENGTH), primary_key=True, default=new_ordered_sys_id)
    kind: Mapped[str] = string("Kind", 80)
    job_key: Mapped[str | None] = string("Key", MAX_JOB_KEY)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    due_at: Mapped[datetime] = instant("Due")
    leased_until: Mapped[datetime | None] = instant("Leased until")
    # Differs for each run, not only for each worker: the run may commit only while the row still holds its value.
    lease_owner: Mapped[str | None] = string("Lease owner", 32)
    attempts: Mapped[int] = integer("Attempts")
    last_error: Mapped[str | None] = string("Last error", MAX_LAST_ERROR)
    failed_at: Mapped[datetime | None] = instant("Failed")


class ClusterValue(Base):
    """A value that all nodes share, such as the fingerprint of a setting that must be the same everywhere."""

    __tablename__ = "cluster_value"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))
