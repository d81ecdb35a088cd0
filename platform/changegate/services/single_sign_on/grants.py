"""Groups and roles from claims: added and taken back at each sign-in, and only those that a mapping has given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from changegate.database import connection
from changegate.models import OidcClaimMapping, OidcGrant, SysUserGroupMember, SysUserHasRole
from changegate.services.access.caller import SYSTEM_CALLER, as_process
from changegate.services.assertions.claim_conditions import claim_at
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record

_GRANTS = OidcGrant.__table__
_MAPPINGS = OidcClaimMapping.__table__


@dataclass(frozen=True, slots=True)
class GrantedTable:
    """A table of what a user has, and the field that names it there and in a mapping."""

    model: type[Any]
    field: str

    @property
    def name(self) -> str:
        """Return the name of the table."""
        return str(self.model.__tablename__)

    def held_by(self, user: str) -> dict[str, str]:
        """Return the sys_ids of the records of a user by that of the group or role."""
        source = self.model.__table__
        statement = select(source.c[self.field], source.c["sys_id"]).where(source.c["user"] == user)
        return {row[0]: row[1] for row in connection().execute(statement)}


TABLES = (GrantedTable(SysUserGroupMember, "group"), GrantedTable(SysUserHasRole, "role"))


def apply_mappings(provider: str, user: str, claims: Mapping[str, object]) -> None:
    """Give a user the groups and roles to which a provider's mappings map their claims, and take back all others."""
    mappings = connection().execute(select(_MAPPINGS).where(_MAPPINGS.c["provider"] == provider)).all()
    given, given_by_any = _records_given(user, provider), _records_given(user)
    if not mappings and not given:
        return
    matching = [mapping for mapping in mappings if _has_value(claims, mapping.claim, mapping.value)]
    for table in TABLES:
        wanted = {getattr(mapping, table.field) for mapping in matching} - {None}
        held = table.held_by(user)
        _take_back(provider, table, {sys_id for target, sys_id in held.items() if target not in wanted} & given)
        for target in sorted(wanted):
            sys_id = held.get(target)
            if sys_id is None:
                sys_id = create_record(get_table(table.name), _caller(), {"user": user, table.field: target})["sys_id"]
            elif sys_id in given or sys_id not in given_by_any:
                # Given by this provider before, or by an administrator, whose decision it stays.
                continue
            connection().execute(insert(_GRANTS).values(provider=provider, record=sys_id, user=user))


def take_back_all(provider: str) -> None:
    """Take back from all users what the mappings of a provider have given."""
    rows = connection().execute(select(_GRANTS.c["user"], _GRANTS.c["record"]).where(_GRANTS.c["provider"] == provider))
    users = {user for user, _ in rows}
    for user in sorted(users):
        given = _records_given(user, provider)
        for table in TABLES:
            _take_back(provider, table, given & set(table.held_by(user).values()))


def _take_back(provider: str, table: GrantedTable, records: Iterable[str]) -> None:
    for sys_id in sorted(records):
        is_of_provider = (_GRANTS.c["provider"] == provider, _GRANTS.c["record"] == sys_id)
        connection().execute(delete(_GRANTS).where(*is_of_provider))
        # Another provider may have given it too.
        if not connection().execute(select(_GRANTS.c["record"]).where(_GRANTS.c["record"] == sys_id)).first():
            delete_record(get_table(table.name), _caller(), sys_id)


def _records_given(user: str, provider: str | None = None) -> set[str]:
    """Return the records of a user that the mappings of one provider have given, or of any."""
    statement = select(_GRANTS.c["record"]).where(_GRANTS.c["user"] == user)
    if provider is not None:
        statement = statement.where(_GRANTS.c["provider"] == provider)
    return set(connection().execute(statement).scalars())


def _has_value(claims: Mapping[str, object], claim: str, value: str) -> bool:
    found = claim_at(claims, claim)
    return found == value or (isinstance(found, list) and value in found)


def _caller() -> Any:
    return as_process(SYSTEM_CALLER)
