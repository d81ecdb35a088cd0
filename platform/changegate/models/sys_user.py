"""Users, groups, roles, and their assignments."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, false
from sqlalchemy import text as text_clause
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, index_of_filled_text, instant, integer, reference, string, text

# The issuer of identities whose subject is a former email of the user.
FORMER_EMAIL = "mailto"


class SysUser(Record, Base):
    """A person or a machine account; access tokens act as a user."""

    __tablename__ = "sys_user"
    # Unique without case: sign-in ignores the case of user names.
    __table_args__ = (
        Index("uq_sys_user_user_name_lower", text_clause("lower(user_name)"), unique=True),
        Index("ix_sys_user_name_lower", text_clause("lower(name)")),
    )

    user_name: Mapped[str] = string("User ID", 40, unique=True)
    name: Mapped[str] = string("Name", 151)
    first_name: Mapped[str | None] = string("First name", 50)
    last_name: Mapped[str | None] = string("Last name", 50)
    email: Mapped[str | None] = string("Email", 100, is_private=True, index=True)
    # Whether an administrator or the identity provider has verified that the email belongs to the user.
    email_verified: Mapped[bool] = boolean("Email verified", is_private=True, default=False, server_default=false())
    phone: Mapped[str | None] = string("Business phone", 40, is_private=True)
    mobile_phone: Mapped[str | None] = string("Mobile phone", 40, is_private=True)
    employee_number: Mapped[str | None] = string("Employee number", 40, is_private=True)
    title: Mapped[str | None] = string("Title", 60)
    manager: Mapped[str | None] = reference("Manager", "sys_user")
    department: Mapped[str | None] = reference("Department", "cmn_department", is_stored_loose=True)
    company: Mapped[str | None] = reference("Company", "core_company", is_stored_loose=True)
    location: Mapped[str | None] = reference("Location", "cmn_location", is_stored_loose=True)
    time_zone: Mapped[str | None] = string(
        "Time zone", 100, description="The name of an IANA time zone, such as Europe/Berlin; without one it is UTC."
    )
    active: Mapped[bool] = boolean("Active", default=True)
    locked_out: Mapped[bool] = boolean("Locked out", is_private=True, default=False)
    web_service_access_only: Mapped[bool] = boolean("Web service access only", is_private=True, default=False)
    user_password: Mapped[str | None] = string("Password", 255, is_secret=True)
    failed_attempts: Mapped[int] = integer("Failed login attempts", is_private=True, is_read_only=True, default=0)
    last_login_time: Mapped[datetime | None] = instant("Last login time", is_private=True, is_read_only=True)

    # The interface of Flask-Login.
    is_authenticated = True
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        """Return whether the user is active and not locked out."""
        return self.active and not self.locked_out

    def get_id(self) -> str:
        """Return the ID that the login session stores."""
        return self.sys_id


# For finding all accounts of one person.
for _name in ("email", "employee_number"):
    index_of_filled_text(SysUser.__table__.c[_name])


class SysUserIdentity(Record, Base):
    """The name of a user at an identity provider: the subject of its tokens, or the actor of its pipelines."""

    __tablename__ = "sys_user_identity"
    # Not unique by issuer and subject: two accounts with one identity belong to one person.
    __table_args__ = (
        UniqueConstraint("user", "issuer", "subject"),
        Index("ix_sys_user_identity_subject_lower", text_clause("lower(subject)")),
    )

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE")
    issuer: Mapped[str] = string("Issuer", 255)
    subject: Mapped[str] = string("Subject", 255)


class SysUserGroup(Record, Base):
    """A group that changes are assigned to."""

    __tablename__ = "sys_user_group"
    __table_args__ = (Index("ix_sys_user_group_name_lower", text_clause("lower(name)")),)

    name: Mapped[str] = string("Name", 80, unique=True)
    manager: Mapped[str | None] = reference("Manager", "sys_user")
    active: Mapped[bool] = boolean("Active", default=True)
    description: Mapped[str | None] = text("Description", 1000)
    email: Mapped[str | None] = string("Group email", 100)


class SysUserGroupMember(Record, Base):
    """A user's membership of a group."""

    __tablename__ = "sys_user_grmember"
    __table_args__ = (UniqueConstraint("user", "group"),)

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    group: Mapped[str] = reference("Group", "sys_user_group", ondelete="CASCADE", index=True)


class SysUserRole(Record, Base):
    """A role; tables and pages list the roles that they require."""

    __tablename__ = "sys_user_role"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)


class SysUserHasRole(Record, Base):
    """The assignment of a role to a user."""

    __tablename__ = "sys_user_has_role"
    __table_args__ = (UniqueConstraint("user", "role"),)

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    role: Mapped[str] = reference("Role", "sys_user_role", ondelete="CASCADE", index=True)
    state: Mapped[str | None] = string("State", 40, default="active")
    inherited: Mapped[bool] = boolean("Inherited", is_read_only=True, default=False)


class SysGroupHasRole(Record, Base):
    """The assignment of a role to a group; the members of the group hold it."""

    __tablename__ = "sys_group_has_role"
    __table_args__ = (UniqueConstraint("group", "role"),)

    group: Mapped[str] = reference("Group", "sys_user_group", ondelete="CASCADE", index=True)
    role: Mapped[str] = reference("Role", "sys_user_role", ondelete="CASCADE", index=True)
