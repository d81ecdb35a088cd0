"""Shared functions of the integration commands: error messages, and the integration to work on."""

from typing import Any

import click

from changegate.errors import ChangegateError, RecordNotFound
from changegate.models import OAuthEntity
from changegate.printable import printable
from changegate.services.integrations.authority import COMMAND_LINE
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import get_integration, lock_integration

BY = COMMAND_LINE
as_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON value to stdout.")
client_id_argument = click.argument("client_id")


def get_target(client_id: str, *, is_to_change: bool = False) -> OAuthEntity:
    """Return the integration with a client ID, locked if the command changes it; raises `ChangegateError`."""
    try:
        return lock_integration(client_id) if is_to_change else get_integration(client_id)
    except RecordNotFound:
        raise ChangegateError(f"There is no integration with the client ID {printable(client_id)}.") from None


def facts(entity: OAuthEntity) -> dict[str, Any]:
    """Return the fields of an integration to show, without its secret."""
    return {"sys_id": entity.sys_id, "client_id": entity.client_id, **fields_of(entity)}
