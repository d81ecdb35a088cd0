"""The tabs of an integration, each with a URL of its own."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from changegate.console.guards import caller
from changegate.console.records.pages import record_url
from changegate.models import OAuthEntity
from changegate.models.integration_fields import FIELDS
from changegate.services.integrations.connection_types import connection_type_of, has_secret
from changegate.services.tables.display.display_names import find_names

DETAILS, KEYS, EVENTS, RUN, HISTORY = "details", "keys", "events", "run", "history"


# The fields that name a user or a group, with the table of the latter.
PEOPLE = {"run_as": "sys_user", "owner": "sys_user", "owner_group": "sys_user_group"}


class Tab(NamedTuple):
    """A tab; links of earlier releases named some tabs as anchors of the record, by the same names."""

    name: str
    label: str
    endpoint: str


TABS = (
    Tab(DETAILS, "Details", "inbound_integrations.record_view"),
    Tab(KEYS, "Signing keys", "integration_keys.list_view"),
    Tab(EVENTS, "Events", "integration_tabs.events_view"),
    Tab(RUN, "Run this", "inbound_integrations.run_view"),
    Tab(HISTORY, "History", "integration_tabs.history_view"),
)
ENDPOINTS = {tab.name: tab.endpoint for tab in TABS}


def tab_context(entity: OAuthEntity, name: str) -> dict[str, Any]:
    """Return the context of the template that all tabs of an integration share."""
    connection = connection_type_of(entity)
    return {
        "entity": entity,
        "connection": connection,
        "has_secret": has_secret(entity),
        "tabs": [tab for tab in TABS if connection.has_provider or tab.name != KEYS],
        "tab": name,
        "people": list(_people_of(entity)),
    }


def _people_of(entity: OAuthEntity) -> Iterator[tuple[str, str, str | None]]:
    """Yield label, name, and page of the users and groups of an integration."""
    for name, table in PEOPLE.items():
        sys_id = getattr(entity, name)
        if sys_id and (found := find_names({table: [sys_id]}, caller()).get(table, {}).get(sys_id)):
            yield FIELDS[name].label, found, record_url(table, sys_id)
