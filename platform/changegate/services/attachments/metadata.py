"""What a client is told of a file: flat texts, whatever display value is asked for.

See docs/reference/other-apis.md#attachment.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, func, select

from changegate.models import SysUser
from changegate.services.attachments.access import ATTACHMENTS
from changegate.services.tables.values import renderer_of

# What the people are called whose user names a file has.
AUTHORS = {"created_by_name": "sys_created_by", "updated_by_name": "sys_updated_by"}
_USERS = SysUser.__table__
_RENDERERS = {column.key: renderer_of(column.info["entry"]) for column in ATTACHMENTS.c}


def render_metadata(values: Mapping[str, Any], link_base: str) -> dict[str, str]:
    """Return the texts of a file; `link_base` is the address that the Attachment API is found at."""
    texts = {name: render(values[name]) for name, render in _RENDERERS.items()}
    texts |= {name: values[name] or "" for name in AUTHORS}
    return texts | {"sys_tags": "", "download_link": f"{link_base}/{values['sys_id']}/file"}


def names_of_metadata() -> tuple[str, ...]:
    """Return the names of the texts of a file."""
    return (*_RENDERERS, *AUTHORS, "sys_tags", "download_link")


def known_columns() -> list[ColumnElement[Any]]:
    """Return what a file's row and the names of its authors are selected by."""
    return [*ATTACHMENTS.c, *(_name_of(ATTACHMENTS.c[field]).label(name) for name, field in AUTHORS.items())]


def _name_of(user_name: ColumnElement[Any]) -> ColumnElement[Any]:
    # Who has left is known by nothing but his user name.
    name = select(_USERS.c["name"]).where(_USERS.c["user_name"] == user_name)
    return func.coalesce(name.correlate(ATTACHMENTS).scalar_subquery(), user_name)
