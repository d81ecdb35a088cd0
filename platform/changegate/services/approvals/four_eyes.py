"""Four eyes: the people who may not approve a change, because they asked for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, literal, or_, select, union_all

from changegate.database.prepared import Prepared, parameter
from changegate.models import OAuthEntity, SysAudit, SysUser
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import labels_of
from changegate.services.approvals.people import (
    COLUMNS,
    WITH_IDENTITIES,
    Link,
    accounts_of,
    accounts_with_email,
    has_identity,
    read_accounts,
    read_connected,
)
from changegate.services.provenance.provenance import SOURCE_EMAIL, provenance_of
from changegate.services.users.user_names import is_named, users_named

# How a user initiated a change, in words; the first that applies is reported.
REASONS = {
    "requested": "requested this change",
    "opened": "opened this change",
    "formerly": "was the requester or opener of this change before",
    "actor": "is the person behind the token that opened this change",
    "namesake": "has the name of the person behind the token that opened this change",
}
ACTOR = "actor"
_PEOPLE_FIELDS = ("requested_by", "opened_by")
_ACTOR_FIELDS = ("oauth_issuer", "oauth_subject", "source_actor")
_SYS_ID = SysUser.__table__.c["sys_id"]
_FIELDS = (*_PEOPLE_FIELDS, "sys_created_by", "sys_id", *_ACTOR_FIELDS)


@dataclass(frozen=True, slots=True)
class Initiators:
    """The people who asked for a change, with all their accounts.

    `unmapped_actor` names the person or workload behind the token that opened the change if it maps to no user.
    """

    links: Mapping[str, Link]
    reasons: Mapping[str, str]
    unmapped_actor: str | None

    def shown(self) -> dict[str, Any]:
        """Return the people, and why they may not approve the change, as an explanation contains them."""
        reasons = {user: self.why_not(user) for user in self.links}
        return {"initiators": reasons, "unmapped_actor": self.unmapped_actor}

    def why_not(self, user: str) -> str | None:
        """Return why a user may not approve the change, as a sentence without a full stop, or None if they may."""
        link = self.links.get(user)
        if link is None:
            return None
        if link.like is None:
            return f"{link.account.name} {self.reasons[user]}"
        return f"{link.account.name} has the same {link.trait} as {link.like.name}: {self.why_not(link.like.sys_id)}"

    def has_written(self, user_name: str) -> bool:
        """Return whether a record was written by one of these people, given its `sys_updated_by`."""
        return not self.links.keys().isdisjoint(users_named(user_name))


def initiators_of(change: Mapping[str, Any]) -> Initiators:
    """Return the people who asked for a change: requesters and openers, also former ones, and the token's person."""
    rows = _INITIATORS.all({name: change.get(name) for name in _FIELDS})
    ways: dict[str, set[str]] = {}
    for row in rows:
        ways.setdefault(row.sys_id, set()).add(row.how)
    accounts = [*accounts_of(rows)]
    for account in accounts_with_email(change.get("source_email")):
        ways.setdefault(account.sys_id, set()).add(ACTOR)
        accounts.append(account)
    reasons = {user: next(REASONS[how] for how in REASONS if how in ways[user]) for user in ways}
    is_mapped = any(ACTOR in each for each in ways.values()) or _is_opened_by_person(change)
    return Initiators(read_connected(accounts), reasons, None if is_mapped else _actor_of(change))


def users_behind(caller: Caller) -> set[str]:
    """Return the account of a caller, and the accounts of the person behind its token."""
    origin = provenance_of(caller.origin) if caller.origin is not None else {}
    persons = _PERSONS.all({name: origin.get(name) for name in _ACTOR_FIELDS}) if origin else ()
    emails = accounts_with_email(origin.get(SOURCE_EMAIL))
    return {caller.sys_id, *(each.sys_id for each in (*persons, *emails))}


def editors_of(edits: Mapping[str, Sequence[str]]) -> Initiators:
    """Return the people who have edited fields of a change since approvals were requested, given the fields by user."""
    accounts = read_accounts(edits)
    names = {user: ", ".join(labels_of(fields)) for user, fields in edits.items()}
    reasons = {user: f"has edited {names[user]} since approvals were requested" for user in edits}
    return Initiators(read_connected(accounts), reasons, None)


def _is_opened_by_person(change: Mapping[str, Any]) -> bool:
    """Return whether `opened_by` is the person: without a token, or with one that acts as the user it belongs to."""
    if not change.get("oauth_client_id"):
        return True
    row = _INTEGRATION.first({"entity": change.get("oauth_entity")})
    return row is not None and row.run_as is None


def _actor_of(change: Mapping[str, Any]) -> str:
    name = change.get("source_actor") or change.get("oauth_subject")
    return f"{name} at {change['oauth_issuer']}" if name else f"client {change['oauth_client_id']}"


def _initiators() -> Any:
    """Return the statement for the accounts of the initiators, with the key of `REASONS` in the first column."""
    requested_by, opened_by, created_by, change, issuer, subject, actor = (parameter(name, String) for name in _FIELDS)
    is_of_change = (SysAudit.tablename == "change_request", SysAudit.documentkey == change)
    is_of_people = or_(*(SysAudit.fieldname == name for name in _PEOPLE_FIELDS))
    former = select(SysAudit.oldvalue).where(*is_of_change, is_of_people)
    clauses = {
        "requested": SysUser.sys_id == requested_by,
        "opened": or_(SysUser.sys_id == opened_by, is_named(_SYS_ID, created_by)),
        "formerly": SysUser.sys_id.in_(former),
        ACTOR: has_identity(issuer, subject, actor),
        "namesake": is_named(_SYS_ID, actor),
    }
    initiators = union_all(
        *(select(literal(how, String).label("how"), SysUser.sys_id).where(clause) for how, clause in clauses.items())
    ).subquery()
    source = WITH_IDENTITIES.join(initiators, initiators.c["sys_id"] == SysUser.sys_id)
    return select(initiators.c["how"], *COLUMNS).select_from(source)


_INITIATORS = Prepared(_initiators())
_PERSONS = Prepared(select(SysUser.sys_id).where(has_identity(*(parameter(name, String) for name in _ACTOR_FIELDS))))
_INTEGRATION = Prepared(select(OAuthEntity.run_as).where(OAuthEntity.sys_id == parameter("entity")))
