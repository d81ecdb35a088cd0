"""Configuration items, the subjects of changes, and the relationships between them."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as text_clause
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, choice, integer_choice, reference, string, text

OPERATIONAL_STATUSES = {
    "1": "Operational",
    "2": "Non-Operational",
    "3": "Repair in Progress",
    "4": "DR Standby",
    "5": "Ready",
    "6": "Retired",
    "7": "Pipeline",
    "8": "Catalog",
}
CI_CLASSES = {
    "cmdb_ci": "Configuration Item",
    "cmdb_ci_service": "Business Service",
    "service_offering": "Service Offering",
    "cmdb_ci_appl": "Application",
    "cmdb_ci_server": "Server",
    "cmdb_ci_database": "Database",
    "cmdb_ci_netgear": "Network Gear",
}


class CmdbCi(Record, Base):
    """A configuration item."""

    __tablename__ = "cmdb_ci"
    __table_args__ = (Index("ix_cmdb_ci_name_lower", text_clause("lower(name)")),)

    name: Mapped[str] = string("Name", 255, index=True)
    sys_class_name: Mapped[str] = choice("Class", CI_CLASSES, default="cmdb_ci")
    operational_status: Mapped[int] = integer_choice("Operational status", OPERATIONAL_STATUSES, default=1)
    short_description: Mapped[str | None] = text("Short description", 1000)
    assignment_group: Mapped[str | None] = reference("Change group", "sys_user_group")
    maintenance_schedule: Mapped[str | None] = reference(
        "Maintenance schedule", "cmn_schedule_maintenance", stored_in="cmn_schedule"
    )


class CmdbRelCi(Record, Base):
    """A relationship: the parent depends on the child, as a service depends on its servers."""

    __tablename__ = "cmdb_rel_ci"
    __table_args__ = (UniqueConstraint("parent", "child", "type"),)

    parent: Mapped[str] = reference("Parent", "cmdb_ci", ondelete="CASCADE")
    child: Mapped[str] = reference("Child", "cmdb_ci", ondelete="CASCADE", index=True)
    type: Mapped[str] = string("Type", 100, default="Depends on::Used by")
