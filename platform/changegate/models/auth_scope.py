"""Auth scopes: named sets of API calls that an access token may make."""

from sqlalchemy.orm import Mapped, relationship

from changegate.database import Base
from changegate.models.base import Record, boolean, reference, string, text


class SysAuthScope(Record, Base):
    """A scope."""

    __tablename__ = "sys_auth_scope"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    rules: Mapped[list["SysApiAccessScope"]] = relationship(lazy="selectin")


class SysApiAccessScope(Record, Base):
    """One call that a scope covers: an API, a method and, for the Table API, a table.

    `writable_fields` is a comma list that narrows writes, `own_records` keeps to what the integration created.
    """

    __tablename__ = "sys_api_access_scope"

    scope: Mapped[str] = reference("Auth scope", "sys_auth_scope", ondelete="CASCADE", index=True)
    rest_api: Mapped[str] = string("REST API", 40)
    http_method: Mapped[str] = string("HTTP method", 10)
    table: Mapped[str] = string("Table", 80)
    active: Mapped[bool] = boolean("Active", default=True)
    writable_fields: Mapped[str | None] = text("Writable fields", 4000)
    own_records: Mapped[bool] = boolean("Own records only", default=False)
