"""The roles, and what each permits."""

from flask import Blueprint, render_template

from changegate.console.guards import LISTS_FOR_OWNERS, caller, manages_integrations, owns_integrations, require_login
from changegate.console.records.pages import OWN_LISTS, list_url, plural_of, record_url
from changegate.services.access.permissions import CONTAINED_ROLES
from changegate.services.catalog.grants import FURTHER, abilities_of
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import EncodedQuery, Order
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, get_table

MOST_ROLES = 200
bp = Blueprint("roles", __name__, url_prefix="/roles")
bp.before_request(require_login)


@bp.get("")
def list_view() -> str:
    """Show every role with what it permits, derived from the access of the tables."""
    return render_template(
        "console/people/roles.html",
        roles=[(role, abilities_of(role["name"]), FURTHER.get(role["name"], ())) for role in list_roles()],
        contained=CONTAINED_ROLES,
        may_create=get_table("sys_user_role").access.admits("create", caller().permissions),
        may_list=_may_list,
        plural_of=plural_of,
        list_url=list_url,
        record_url=record_url,
    )


def _may_list(table: Table) -> bool:
    """Return whether the signed-in user may open the list of a table."""
    if OWN_LISTS.get(table.name) in LISTS_FOR_OWNERS and not (manages_integrations() or owns_integrations()):
        return False
    return table.access.admits("read", caller().permissions)


def list_roles() -> list[WireRecord]:
    """Return the name and the description of every role, by name."""
    shape = Shape("", DisplayValue.DISPLAY, exclude_reference_link=True, fields=("sys_id", "name", "description"))
    query = EncodedQuery((), (Order("name"),))
    return list(read_page(get_table("sys_user_role"), caller(), query, shape, limit=MOST_ROLES, offset=0).records)
