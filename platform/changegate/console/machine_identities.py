"""Machine Identities: the accounts of automation, their roles, and their last use."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import require_integration_administrator
from changegate.console.records.computed_lists import Row, add_computed_table
from changegate.console.records.list_state import query_of
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.console.records.pages import record_url
from changegate.console.security_findings import assessed
from changegate.models.base import Entry
from changegate.services.catalog.access import READ_BY_INTEGRATION_ADMINISTRATORS
from changegate.services.hygiene.finding import ACCOUNT
from changegate.services.hygiene.identities import MachineIdentity, identities_of
from changegate.services.hygiene.privileges import HIGH_PRIVILEGES
from changegate.services.tables.display.display_values import WireRecord

bp = Blueprint("machine_identities", __name__, url_prefix="/machine-identity/identities")
bp.before_request(require_integration_administrator)
KINDS = {"machine": "Web service access only", "person": "May be a person", "other": "Machine account"}
ENTRIES: Mapping[str, Entry] = {
    "user_name": Entry("string", "User ID"),
    "name": Entry("string", "Name"),
    "active": Entry("boolean", "Active"),
    "kind": Entry("choice", "Kind", choices=KINDS),
    "integrations": Entry("string", "Integrations"),
    "privileges": Entry("string", "High-privilege roles"),
    "roles": Entry("string", "Other roles"),
    "tokens": Entry("integer", "Tokens, 7 days"),
    "last_exchange_at": Entry("glide_date_time", "Last exchange"),
    "last_call_at": Entry("glide_date_time", "Last change created"),
    "findings": Entry("integer", "Findings"),
}


def _rows() -> Iterator[Row]:
    findings = Counter(each.subject for each in assessed()[1].findings if each.subject_type == ACCOUNT)
    for identity in _identities():
        account = identity.account
        others = sorted(role for role in account.roles if role and role not in account.privileges)
        yield {
            "sys_id": account.sys_id,
            "user_name": account.user_name,
            "name": account.name,
            "active": account.is_active,
            "kind": "machine" if account.web_service_access_only else "other" if identity.is_machine else "person",
            "integrations": ", ".join(row.name for row in identity.integrations),
            "privileges": ", ".join(account.privileges),
            "roles": ", ".join(others),
            "tokens": identity.tokens,
            "last_exchange_at": identity.last_exchange_at,
            "last_call_at": identity.last_call_at,
            "findings": findings[account.user_name],
        }


def _identities() -> list[MachineIdentity]:
    return identities_of(assessed()[0])


def _context(_records: Sequence[WireRecord]) -> Mapping[str, Any]:
    return {"identities": {each.account.sys_id: each for each in _identities()}, "reasons": HIGH_PRIVILEGES}


def _links(row: Row) -> Mapping[str, str]:
    links = {"sys_id": record_url("sys_user", row["sys_id"]) or ""}
    if row["findings"]:
        query = query_of("subject", row["user_name"])
        links["findings"] = url_for("security_findings.list_view", sysparm_query=query)
    return links


IDENTITIES = add_computed_table(
    "machine_identity",
    "Machine Identity",
    ENTRIES,
    display_field="user_name",
    access=READ_BY_INTEGRATION_ADMINISTRATORS,
    rows=_rows,
    links=_links,
)
show_list_with("machine_identity", "console/machine_identities.html", _context)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """List the machine identities."""
    return list_page(IDENTITIES)
