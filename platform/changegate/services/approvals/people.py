"""The accounts of people: which accounts belong to one person, and who may be asked for an approval."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, func, literal, select, union_all

from changegate.database.prepared import Prepared, parameter
from changegate.models import SysUser, SysUserIdentity
from changegate.models.sys_user import FORMER_EMAIL
from changegate.services.access.permissions import Permissions, expand_roles
from changegate.services.users.roles import roles_of_user

EMPLOYEE_NUMBER, VERIFIED_EMAIL, IDENTITY = "employee number", "verified email", "identity"


class Trait(NamedTuple):
    """A value that identifies a person, in any case; `issuer` is empty unless it is an identity."""

    kind: str
    value: str
    issuer: str = ""

    @property
    def folded(self) -> "Trait":
        """The trait in lower case."""
        return Trait(self.kind, self.value.lower(), self.issuer)


@dataclass(frozen=True, slots=True)
class UserAccount:
    """A user, with the values that identify the person."""

    sys_id: str
    user_name: str
    name: str
    employee_number: str | None
    email: str | None
    email_verified: bool
    identities: frozenset[tuple[str, str]]

    @property
    def traits(self) -> list[Trait]:
        """The traits as they are stored. They include an email that is not verified, and former emails."""
        values = ((EMPLOYEE_NUMBER, self.employee_number), (VERIFIED_EMAIL, self.email))
        identities = (
            Trait(VERIFIED_EMAIL, subject) if issuer == FORMER_EMAIL else Trait(IDENTITY, subject, issuer)
            for issuer, subject in self.identities
        )
        return [*(Trait(kind, value) for kind, value in values if value), *identities]

    def has(self, trait: Trait) -> bool:
        """Return whether the account has a trait, in any case."""
        return trait.folded in {each.folded for each in self.traits}

    def find_shared(self, other: "UserAccount") -> str | None:
        """Return the kind of a trait that shows that another account belongs to the same person, or None.

        An email counts if it is verified on at least one of the two accounts.
        """
        is_verified = self.email_verified or other.email_verified
        kinds = (trait.kind for trait in self.traits if other.has(trait))
        return min((kind for kind in kinds if is_verified or kind != VERIFIED_EMAIL), default=None)


@dataclass(frozen=True, slots=True)
class Link:
    """How an account was found: by a trait that it shares with the account `like`, or directly if both are None."""

    account: UserAccount
    like: UserAccount | None = None
    trait: str | None = None


def read_connected(accounts: Iterable[UserAccount]) -> dict[str, Link]:
    """Return accounts by sys_id, together with all other accounts of the same persons.

    Accounts are followed from trait to trait: of three accounts, two may share traits only with the third.
    """
    links = {account.sys_id: Link(account) for account in accounts}
    pending, searched = [link.account for link in links.values()], set[tuple[Trait, bool]]()
    while pending:
        account = pending.pop()
        for trait in account.traits:
            # An email finds more accounts from one on which it is verified.
            if (trait, account.email_verified) in searched:
                continue
            searched.add((trait, account.email_verified))
            for other in _accounts_with(trait):
                shared = None if other.sys_id in links else account.find_shared(other)
                if shared:
                    links[other.sys_id] = Link(other, account, shared)
                    pending.append(other)
    return links


def person_keys(users: Collection[str]) -> dict[str, str]:
    """Return a key for each user: accounts of the same person have the same key."""
    keys: dict[str, str] = {}
    for user in users:
        if user not in keys:
            accounts = {user, *read_connected(read_accounts([user]))}
            keys |= dict.fromkeys(accounts, min(accounts))
    return {user: keys[user] for user in users}


def read_accounts(users: Iterable[str]) -> list[UserAccount]:
    """Return the accounts of users, given their sys_ids."""
    return [account for user in users for account in accounts_of(_BY_ID.all({"value": user}))]


def accounts_with_email(email: str | None) -> list[UserAccount]:
    """Return the accounts with an email, in any case."""
    return [*_accounts_with(Trait(VERIFIED_EMAIL, email))] if email else []


def _accounts_with(trait: Trait) -> Iterator[UserAccount]:
    """Yield the accounts with a trait, in any case; for letters outside ASCII, whatever the database folds."""
    pattern = None if trait.value.isascii() else _OUTSIDE_ASCII.sub("_", trait.value)
    statements = _BY_TRAIT if pattern is None else _BY_PATTERN
    values = {"value": pattern or trait.value, "issuer": trait.issuer}
    return (each for each in accounts_of(statements[trait.kind].all(values)) if each.has(trait))


def list_faults(users: Collection[str], role: str | None = None) -> dict[str, str]:
    """Return, by sys_id, why users may not be asked: they are inactive, locked out, or lack a role.

    Users who may be asked are missing. A user who does not exist is inactive.
    """
    faults = {user: _find_fault(_STATE.first({"user": user}), role) for user in users}
    return {user: fault for user, fault in faults.items() if fault}


def _find_fault(row: Any, role: str | None) -> str | None:
    if row is None or not row.active:
        return "the account is inactive"
    if row.locked_out:
        return "the account is locked out"
    if role and not Permissions(expand_roles(row.roles)).has_role({role}):
        return f"the account does not have the role {role}"
    return None


def accounts_of(rows: Iterable[Any]) -> Iterator[UserAccount]:
    """Return the accounts of rows of `COLUMNS`, which repeat an account for each of its identities."""
    accounts: dict[str, Any] = {}
    identities = defaultdict[str, set[tuple[str, str]]](set)
    for row in rows:
        accounts[row.sys_id] = row
        if row.issuer is not None:
            identities[row.sys_id].add((row.issuer, row.subject))
    for sys_id, row in accounts.items():
        person = (row.employee_number, row.email, row.email_verified)
        yield UserAccount(sys_id, row.user_name, row.name, *person, frozenset(identities[sys_id]))


def has_identity(issuer: Any, *subjects: Any) -> ColumnElement[bool]:
    """Return the clause for users who have one of `subjects` at an issuer, in any case."""
    is_named = func.lower(SysUserIdentity.subject).in_([func.lower(subject) for subject in subjects])
    return _has_identity(issuer, is_named)


def _has_identity(issuer: Any, is_named: ColumnElement[bool]) -> ColumnElement[bool]:
    return SysUser.sys_id.in_(select(SysUserIdentity.user).where(SysUserIdentity.issuer == issuer, is_named))


WITH_IDENTITIES = SysUser.__table__.outerjoin(SysUserIdentity.__table__, SysUserIdentity.user == SysUser.sys_id)
_OF_USER = ("sys_id", "user_name", "name", "employee_number", "email", "email_verified")
COLUMNS = (*(SysUser.__table__.c[name] for name in _OF_USER), SysUserIdentity.issuer, SysUserIdentity.subject)


def _accounts_where(condition: ColumnElement[bool]) -> Prepared:
    return Prepared(select(*COLUMNS).select_from(WITH_IDENTITIES).where(condition).order_by(SysUser.sys_id))


_WITH_EMAIL = SysUser.__table__.alias("with_email")
_VALUE, _ISSUER = parameter("value", String), parameter("issuer", String)
_BY_ID = _accounts_where(SysUser.sys_id == _VALUE)


def _has_email(is_named: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the clause for users with an email, or who had it and replaced it themselves."""
    former = select(SysUserIdentity.user).where(
        SysUserIdentity.issuer == literal(FORMER_EMAIL, String), is_named(func.lower(SysUserIdentity.subject))
    )
    # Not OR, for which neither database would use both indexes.
    either = union_all(select(_WITH_EMAIL.c["sys_id"]).where(is_named(func.lower(_WITH_EMAIL.c["email"]))), former)
    return SysUser.sys_id.in_(select(either.subquery().c[0]))


# The database converts both sides to lower case, because databases differ; SQLite converts only ASCII.
_FOLDED = func.lower(_VALUE)
_BY_TRAIT = {
    EMPLOYEE_NUMBER: _accounts_where(func.lower(SysUser.employee_number) == _FOLDED),
    VERIFIED_EMAIL: _accounts_where(_has_email(lambda email: email == _FOLDED)),
    IDENTITY: _accounts_where(has_identity(_ISSUER, _VALUE)),
}
# Values with any letter where the value has one outside ASCII; the traits are compared afterwards. No index helps.
_OUTSIDE_ASCII = re.compile(r"[^\x00-\x7f]|[%_\\]")
_BY_PATTERN = {
    EMPLOYEE_NUMBER: _accounts_where(func.lower(SysUser.employee_number).like(_FOLDED)),
    VERIFIED_EMAIL: _accounts_where(_has_email(lambda email: email.like(_FOLDED))),
    IDENTITY: _accounts_where(_has_identity(_ISSUER, func.lower(SysUserIdentity.subject).like(_FOLDED))),
}
_STATE = Prepared(
    select(SysUser.active, SysUser.locked_out, roles_of_user().label("roles")).where(
        SysUser.sys_id == parameter("user", String)
    )
)
