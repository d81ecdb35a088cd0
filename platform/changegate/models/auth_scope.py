"""Auth scopes: named sets of API calls that an access token may make."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.orm import Mapped, relationship

from changegate.database import Base
from changegate.models.base import Record, boolean, reference, string, text

ANY = "*"
# The sys_id of the scope that allows everything its user may do: its name in ASCII, as hex. The scope is identified by
# this sys_id only, so another record of the same name grants nothing.
USERACCOUNT = "757365726163636f756e740000000000"
MAX_SCOPES_LENGTH = 1000


class RestApi(NamedTuple):
    """An API in scope rules: its label, its methods, and whether its calls have a table."""

    label: str
    methods: tuple[str, ...]
    has_tables: bool = True


REST_APIS: Mapping[str, RestApi] = {
    "now/table": RestApi("Table API", ("GET", "POST", "PUT", "PATCH", "DELETE")),
    "now/stats": RestApi("Aggregate API", ("GET",)),
    "now/attachment": RestApi("Attachment API", ("GET", "POST", "PATCH", "DELETE")),
    "oauth/introspect": RestApi("Introspection API", ("POST",), has_tables=False),
}
API_VERSIONS = ("v1", "v2")


class SysAuthScope(Record, Base):
    """A scope."""

    __tablename__ = "sys_auth_scope"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    rules: Mapped[list["SysApiAccessScope"]] = relationship(
        lazy="selectin",
        order_by="SysApiAccessScope.rest_api, SysApiAccessScope.table, SysApiAccessScope.http_method",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class SysApiAccessScope(Record, Base):
    """The calls that a scope covers: API, method, version, and table; `*` matches every one.

    `writable_fields` limits writes to a comma-separated list; `own_records` limits calls to records that the
    integration created.
    """

    __tablename__ = "sys_api_access_scope"

    scope: Mapped[str] = reference("Auth scope", "sys_auth_scope", ondelete="CASCADE", index=True)
    rest_api: Mapped[str] = string("REST API", 40)
    http_method: Mapped[str] = string("HTTP method", 10)
    version: Mapped[str] = string("Version", 10, default=ANY, server_default=ANY)
    table: Mapped[str] = string("Table", 80)
    active: Mapped[bool] = boolean("Active", default=True)
    writable_fields: Mapped[str | None] = text("Writable fields", 4000)
    own_records: Mapped[bool] = boolean("Own records only", default=False)
