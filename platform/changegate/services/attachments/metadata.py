"""What a client is told of a file (rest_api.md §3.3): flat texts, whatever display value is asked for."""

from collections.abc import Mapping
from typing import Any

from changegate.services.attachments.access import ATTACHMENTS
from changegate.services.tables.values import renderer_of

_RENDERERS = {column.key: renderer_of(column.info["entry"]) for column in ATTACHMENTS.c}


def render_metadata(values: Mapping[str, Any], link_base: str) -> dict[str, str]:
    """Return the texts of a file; `link_base` is the address that the Attachment API is found at."""
    texts = {name: render(values[name]) for name, render in _RENDERERS.items()}
    return texts | {"sys_tags": "", "download_link": f"{link_base}/{values['sys_id']}/file"}


def names_of_metadata() -> tuple[str, ...]:
    """Return the names of the texts of a file."""
    return (*_RENDERERS, "sys_tags", "download_link")
