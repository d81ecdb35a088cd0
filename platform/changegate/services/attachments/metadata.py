"""The metadata of a file for clients: flat texts, whatever the value of `sysparm_display_value`.

See docs/reference/other-apis.md#attachment.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, func, select

from changegate.models import SysUser
from changegate.services.attachments.access import ATTACHMENTS
from changegate.services.tables.values import renderer_of

# Fields with the display names of the users in other fields.
AUTHORS = {"created_by_name": "sys_created_by", "updated_by_name": "sys_updated_by"}
_USERS = SysUser.__table__
_RENDERERS = {column.key: renderer_of(column.info["entry"]) for column in ATTACHMENTS.c}


def render_metadata(values: Mapping[str, Any], link_base: str) -> dict[str, str]:
    """Return the metadata of a file; `link_base` is the address of the Attachment API."""
    texts = {name: render(values[name]) for name, render in _RENDERERS.items()}
    texts |= {name: values[name] or "" for name in AUTHORS}
    return texts | {"sys_tags": "", "download_link": f"{link_base}/{values['sys_id']}/file"}


def names_of_metadata() -> tuple[str, ...]:
    """Return the names of the members of the metadata."""
    return (*_RENDERERS, *AUTHORS, "sys_tags", "download_link")


def known_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a file, and subqueries for the names of its authors."""
    return [*ATTACHMENTS.c, *(_name_of(ATTACHMENTS.c[field]).label(name) for name, field in AUTHORS.items())]


def _name_of(user_name: ColumnElement[Any]) -> ColumnElement[Any]:
    # A user who was deleted is shown by user name.
    name = select(_USERS.c["name"]).where(_USERS.c["user_name"] == user_name)
    return func.coalesce(name.correlate(ATTACHMENTS).scalar_subquery(), user_name)
