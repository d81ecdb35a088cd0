"""What a person may do and why: operations on tables, approvals, delegations, integrations, identities."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import or_, select

from changegate.console.guards import caller, require_login
from changegate.console.records.pages import list_url, plural_of, record_url
from changegate.errors import AccessRefused, RecordNotFound
from changegate.extensions import db, now
from changegate.models import OAuthEntity, SysUser, SysUserGroupMember
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.approvals.reach import list_reachable_rules
from changegate.services.catalog.grants import OPERATIONS, Permit, permit_of
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order, equal_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import TABLES, Table, get_table
from changegate.services.tables.values import INSTANT_FORMAT
from changegate.services.tables.visibility import may_read
from changegate.services.users.held_roles import HeldRole, list_held_roles

MOST_OF_A_KIND = 50
bp = Blueprint("person_access", __name__, url_prefix="/people")
bp.before_request(require_login)


@dataclass(frozen=True, slots=True)
class TableAccess:
    """Tables for which the same is permitted for each operation, and the limit of writes in words."""

    permits: Mapping[str, Permit]
    limit: str
    tables: list[Table]


@bp.get("/<sys_id>/access")
def access_view(sys_id: str) -> ResponseReturnValue:
    """Show what a user may do: to themselves, and to administrators. Raises `AccessRefused` and `RecordNotFound`."""
    who = caller()
    if sys_id != who.sys_id and not who.permissions.has_role(INTEGRATION_ADMINISTRATORS):
        raise AccessRefused(
            "You see your own access. Other people's is for the roles admin, mi_admin, and oauth_admin."
        )
    user = db.session.get(SysUser, sys_id)
    if user is None:
        raise RecordNotFound
    held = list_held_roles(sys_id)
    return render_template(
        "console/people/access.html",
        user=user,
        is_self=sys_id == who.sys_id,
        obstacles=_obstacles(user),
        held=held.values(),
        access=_access_of(held),
        operations=OPERATIONS,
        plural_of=plural_of,
        rules=list_reachable_rules(sys_id) if may_read(get_table("chg_policy_approval"), who.permissions) else None,
        delegations=_delegations(sys_id, who),
        integrations=_integrations(sys_id),
        manages_integrations=who.permissions.has_role(INTEGRATION_ADMINISTRATORS),
        identities=_page("sys_user_identity", who, "user", sys_id, ("issuer", "subject")),
        list_url=list_url,
        record_url=record_url,
    )


def _access_of(held: Mapping[str, HeldRole]) -> list[TableAccess]:
    """Return what a user with some roles may do in every table."""
    rows: dict[tuple[object, ...], TableAccess] = {}
    for table in TABLES.values():
        permits = {name: permit_of(table, name, held) for name in OPERATIONS}
        key = (*permits.values(), table.write_limit)
        rows.setdefault(key, TableAccess(permits, table.write_limit, [])).tables.append(table)
    return list(rows.values())


def _obstacles(user: SysUser) -> list[str]:
    """Return why a user cannot sign in to the console with a password."""
    reasons = {
        "The account is inactive.": not user.active,
        "The account is locked out.": user.locked_out,
        "The account may use web services only.": user.web_service_access_only,
        "The account has no password.": not user.user_password,
    }
    return [reason for reason, applies in reasons.items() if applies]


def _delegations(user: str, who: Caller) -> list[WireRecord]:
    """Return the delegations from and to a user that have not ended, as far as the caller may read them."""
    ahead = (Condition("ends", ">", now().strftime(INSTANT_FORMAT)),)
    either = (Condition("user", "=", user), Condition("delegate", "=", user))
    query = EncodedQuery(((either, ahead),), (Order("starts"),))
    return _read("sys_user_delegate", who, query, ("user", "delegate", "starts", "ends"))


def _page(table: str, who: Caller, field: str, value: str, fields: tuple[str, ...]) -> list[WireRecord]:
    return _read(table, who, equal_query(field, value, Order(fields[0])), fields)


def _read(name: str, who: Caller, query: EncodedQuery, fields: tuple[str, ...]) -> list[WireRecord]:
    table = get_table(name)
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", *fields))
    return list(read_page(table, who, query, shape, limit=MOST_OF_A_KIND, offset=0).records)


def _integrations(user: str) -> list[tuple[OAuthEntity, str]]:
    """Return the integrations that a user or a group of theirs owns, and those whose tokens act as the user."""
    owns, owns_by_group, acts = (
        OAuthEntity.owner == user,
        OAuthEntity.owner_group.in_(select(SysUserGroupMember.group).where(SysUserGroupMember.user == user)),
        OAuthEntity.run_as == user,
    )
    relations = {"Owner": owns, "Owner by a group": owns_by_group, "Its tokens act as this user": acts}
    statement = select(OAuthEntity, *relations.values()).where(or_(*relations.values())).order_by(OAuthEntity.name)
    rows = db.session.execute(statement).all()
    return [
        (row[0], ", ".join(words for words, holds in zip(relations, row[1:], strict=True) if holds)) for row in rows
    ]
