"""The filter navigator: its modules, and the roles that see them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from flask import url_for

from changegate.console.guards import caller, owns_integrations
from changegate.console.my_work import GROUP_WORK
from changegate.console.records.pages import list_url, plural_of
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.approvals.answers import count_pending
from changegate.services.notifications.inbox import count_unread
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

MY_APPROVALS, NOTIFICATIONS = "my_approvals.list_view", "notifications.list_view"
# The numbers beside labels: of what waits for the user with a sys_id.
_COUNTS: Mapping[str, Callable[[str], int]] = {MY_APPROVALS: count_pending, NOTIFICATIONS: count_unread}


@dataclass(frozen=True, slots=True)
class Module:
    """A link in the navigator, shown as current on every page of its blueprint, and of those in `others`.

    With a table, the module is the list of that table, by whose name it goes unless it has one of its own, with a query
    if there is one, and current on all pages of its records. A module that is `for_owners` is shown to owners of
    integrations without the roles of its group. `count` is the number beside the label: of what waits for the signed-in
    user.
    """

    name: str
    endpoint: str
    icon: str
    others: tuple[str, ...] = ()
    table: str = ""
    query: str = ""
    for_owners: bool = False
    count: int = 0

    @property
    def label(self) -> str:
        """Return the text of the link."""
        return self.name or plural_of(get_table(self.table))

    @property
    def url(self) -> str:
        """Return the path of the module."""
        return list_url(self.table, sysparm_query=self.query or None) if self.table else url_for(self.endpoint)

    @property
    def is_open(self) -> bool:
        """Return whether the signed-in user may open the module."""
        return not self.table or get_table(self.table).access.admits("read", caller().permissions)

    @property
    def is_current(self) -> bool:
        """Return whether the requested page belongs to the module."""
        sent = current_request()
        blueprints = (self.endpoint.partition(".")[0], *self.others)
        return sent.blueprint in blueprints and (sent.view_args or {}).get("table_name", "") == self.table


def _list_of(table: str, icon: str, query: str = "", name: str = "") -> Module:
    return Module(name, "records.list_view", icon, ("record_pages",), table, query)


@dataclass(frozen=True, slots=True)
class Group:
    """Modules under one heading; without roles, for every user."""

    label: str
    modules: tuple[Module, ...]
    roles: frozenset[str] = frozenset()


GROUPS = (
    Group(
        "Change",
        (
            Module("My work", "my_work.page_view", "person"),
            _list_of("task", "people", f"{GROUP_WORK}^ORDERBYDESCsys_created_on", "My groups"),
            Module("Change requests", "change_requests.list_view", "change", ("change_forms", "change_files")),
            Module("Request a change", "change_offers.list_view", "plus"),
            Module("Dashboard", "dashboard.page_view", "chart"),
            Module("Calendar", "calendar.month_view", "calendar"),
            Module("My approvals", MY_APPROVALS, "check", ("approvals",)),
            Module("Delegations", "delegations.list_view", "person"),
            Module("Notifications", NOTIFICATIONS, "bell"),
            _list_of("change_task", "list"),
            _list_of("sysapproval_approver", "shield"),
        ),
    ),
    Group(
        "Configuration",
        (
            _list_of("cmdb_ci", "server"),
            _list_of("cmdb_rel_ci", "integration"),
            _list_of("cmdb_ci_service", "list"),
        ),
    ),
    Group(
        "Change process",
        (
            _list_of("chg_model", "scope"),
            _list_of("chg_policy_approval", "shield"),
            _list_of("cmn_schedule_blackout", "lock"),
            _list_of("cmn_schedule_maintenance", "calendar"),
            _list_of("risk_conditions", "alert"),
            _list_of("std_change_record_producer", "copy"),
            _list_of("std_change_proposal", "plus"),
        ),
    ),
    Group(
        "People",
        (
            _list_of("sys_user", "person"),
            _list_of("sys_user_group", "people"),
            Module("Roles", "roles.list_view", "key"),
            _list_of("sys_email", "list"),
            _list_of("oidc_provider_configuration", "lock"),
        ),
    ),
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
                for_owners=True,
            ),
            Module("Auth Scopes", "auth_scopes.list_view", "scope"),
            Module("Manage Tokens", "manage_tokens.list_view", "key", for_owners=True),
            Module("Token Events", "token_events.list_view", "list", for_owners=True),
        ),
        INTEGRATION_ADMINISTRATORS,
    ),
    Group("System Web Services", (Module("REST API Explorer", "api_explorer.explorer_view", "braces"),)),
)


def list_groups() -> list[Group]:
    """Return the groups that the signed-in user may use, with the modules that they may open."""
    groups = (replace(group, modules=tuple(_open_modules(group))) for group in GROUPS)
    return [group for group in groups if group.modules]


def _open_modules(group: Group) -> Iterator[Module]:
    has_role = not group.roles or caller().permissions.has_role(group.roles)
    for module in group.modules:
        if module.is_open and (has_role or (module.for_owners and owns_integrations())):
            count = _COUNTS.get(module.endpoint)
            yield replace(module, count=count(caller().sys_id)) if count else module
