"""The pages of records: tables with pages of their own, and the generic page of all others."""

from collections.abc import Mapping
from typing import Any

from flask import url_for

from changegate.services.tables.registry import Table, find_table

# The endpoints of lists that have a page of their own, by table; computed tables have no other.
OWN_LISTS: Mapping[str, str] = {
    "change_request": "change_requests.list_view",
    "oauth_entity": "inbound_integrations.list_view",
    "oauth_exchange": "token_events.list_view",
    "oauth_credential": "manage_tokens.list_view",
    "my_approval": "my_approvals.list_view",
    "machine_identity": "machine_identities.list_view",
    "refresh_token": "manage_tokens.refresh_tokens_view",
    "security_finding": "security_findings.list_view",
}
# The endpoints of records that have a page of their own, and the argument that is their sys_id.
OWN_PAGES: Mapping[str, tuple[str, str]] = {
    "change_request": ("change_requests.record_view", "sys_id"),
    "oauth_entity": ("inbound_integrations.by_sys_id_view", "sys_id"),
    "oauth_exchange": ("token_events.record_view", "correlation_id"),
    "oauth_credential": ("token_events.record_view", "correlation_id"),
}
# Pages that links lead to instead of the generic page of the record, which exists as well.
FIRST_PAGES: Mapping[str, tuple[str, str]] = {**OWN_PAGES, "sysapproval_approver": ("approvals.record_view", "sys_id")}
# Tables that are written as the only class that extends them.
WRITTEN_AS: Mapping[str, str] = {"sttrm_model": "chg_model"}

# Labels whose plural is not regular, or that have none.
PLURALS: Mapping[str, str] = {
    "chg_history": "Change history",
    "sys_audit": "Audit trail",
    "sys_choice": "Choices",
    "sys_email": "Outgoing mail",
    "chg_policy_approval": "Approval policies",
    "oauth_entity": "Inbound Integrations",
    "oauth_exchange": "Token Events",
    "oauth_credential": "Manage Tokens",
    "machine_identity": "Machine Identities",
    "security_finding": "Security Findings",
}


def label_of_table(table: Table) -> str:
    """Return the label of a table in sentence case, such as "Change request"."""
    first, *others = table.label.split()
    return " ".join([first, *(word if word.isupper() else word.lower() for word in others)])


def noun_of(table: Table) -> str:
    """Return the label of a table within a sentence, such as "CI relationship"."""
    return " ".join(word if word.isupper() else word.lower() for word in table.label.split())


def plural_of(table: Table) -> str:
    """Return the heading of a table's list, such as "Change requests"."""
    label = label_of_table(table)
    if table.name in PLURALS:
        return PLURALS[table.name]
    if label.endswith("y") and label[-2] not in "aeiou":
        return f"{label[:-1]}ies"
    return f"{label}es" if label.endswith(("s", "x", "ch")) else f"{label}s"


def list_url(table: str, **arguments: Any) -> str:
    """Return the path of the list of a table."""
    if table in OWN_LISTS:
        return url_for(OWN_LISTS[table], **arguments)
    return url_for("records.list_view", table_name=table, **arguments)


def record_url(table: str, sys_id: str) -> str | None:
    """Return the path of a record's page, or None if the table is not served."""
    table = WRITTEN_AS.get(table, table)
    if table in FIRST_PAGES:
        endpoint, argument = FIRST_PAGES[table]
        values: dict[str, Any] = {argument: sys_id}
        return url_for(endpoint, **values)
    return url_for("record_pages.record_view", table_name=table, sys_id=sys_id) if find_table(table) else None
