"""The tabs of an integration, each with a URL of its own."""

from typing import Any, NamedTuple

from changegate.models import OAuthEntity
from changegate.services.integrations.connection_types import connection_type_of, has_secret

DETAILS, KEYS, EVENTS, RUN, HISTORY = "details", "keys", "events", "run", "history"


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
    }
