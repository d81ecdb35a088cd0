"""What the commands have in common: their refusals in one sentence, and the integration that they are about."""

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


def wanted(client_id: str, *, is_to_change: bool = False) -> OAuthEntity:
    """Return the integration that a command is about, locked if it changes it at once; raises `ChangegateError`."""
    try:
        return lock_integration(client_id) if is_to_change else get_integration(client_id)
    except RecordNotFound:
        raise ChangegateError(f"There is no integration with the client ID {printable(client_id)}.") from None


def facts(entity: OAuthEntity) -> dict[str, Any]:
    """Return what is shown of an integration; never its secret."""
    return {"sys_id": entity.sys_id, "client_id": entity.client_id, **fields_of(entity)}
