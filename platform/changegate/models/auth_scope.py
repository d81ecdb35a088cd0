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


API_VERSIONS = ("v1", "v2")


class RestApi(NamedTuple):
    """An API in scope rules: its label, methods, and versions, and whether its calls have a table.

    A path without a version means the last of `versions`. `tables` are the tables of its calls; None for all.
    Requests with `reads_records` return the contents of records; with `writes_fields`, they name
    the fields that they write.
    """

    label: str
    methods: tuple[str, ...]
    has_tables: bool = True
    versions: tuple[str, ...] = API_VERSIONS
    tables: frozenset[str] | None = None
    reads_records: bool = False
    writes_fields: bool = False

    def serves(self, table: str) -> bool:
        """Return whether the calls of the API can have a table."""
        return self.has_tables and (self.tables is None or table in self.tables)


REST_APIS: Mapping[str, RestApi] = {
    "now/table": RestApi(
        "Table API", ("GET", "POST", "PUT", "PATCH", "DELETE"), reads_records=True, writes_fields=True
    ),
    "now/stats": RestApi("Aggregate API", ("GET",), reads_records=True),
    "now/attachment": RestApi("Attachment API", ("GET", "POST", "PATCH", "DELETE")),
    "sn_chg_rest/change": RestApi(
        "Change Management API",
        ("GET", "POST", "PATCH", "DELETE"),
        versions=("v1",),
        tables=frozenset(
            {
                *("change_request", "change_task", "chg_model", "std_change_record_producer", "sysapproval_approver"),
                *("task_ci", "task_cmdb_ci_service"),
            }
        ),
        reads_records=True,
        writes_fields=True,
    ),
    "oauth/introspect": RestApi("Introspection API", ("POST",), has_tables=False),
}


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
