"""The filter navigator: its modules, and the roles that see them."""

from dataclasses import dataclass

from changegate.console.guards import caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS


@dataclass(frozen=True, slots=True)
class Module:
    """A link in the navigator, shown as current on every page of its blueprint, and of those in `others`."""

    label: str
    endpoint: str
    icon: str
    others: tuple[str, ...] = ()

    @property
    def blueprints(self) -> tuple[str, ...]:
        """Return the names of the blueprints of the module."""
        return self.endpoint.partition(".")[0], *self.others


@dataclass(frozen=True, slots=True)
class Group:
    """Modules under one heading; without roles, for every user."""

    label: str
    modules: tuple[Module, ...]
    roles: frozenset[str] = frozenset()


GROUPS = (
    Group("Change", (Module("Change requests", "change_requests.list_view", "change"),)),
    Group(
        "Machine Identity Console",
        (
            Module("Overview", "machine_identity.overview_view", "chart"),
            Module("Machine Identities", "machine_identities.list_view", "robot"),
            Module("Security Findings", "security_findings.list_view", "shield"),
        ),
        INTEGRATION_ADMINISTRATORS,
    ),
    Group(
        "System OAuth",
        (
            Module(
                "Inbound Integrations",
                "inbound_integrations.list_view",
                "integration",
                ("quick_setup", "form_fragments", "integration_keys", "integration_tabs"),
            ),
            Module("Auth Scopes", "auth_scopes.list_view", "scope"),
            Module("Manage Tokens", "manage_tokens.list_view", "key"),
            Module("Token Events", "token_events.list_view", "list"),
        ),
        INTEGRATION_ADMINISTRATORS,
    ),
    Group("System Web Services", (Module("REST API Explorer", "api_explorer.explorer_view", "braces"),)),
)


def list_groups() -> list[Group]:
    """Return the groups that the signed-in user may use."""
    return [group for group in GROUPS if not group.roles or caller().permissions.has_role(group.roles)]
