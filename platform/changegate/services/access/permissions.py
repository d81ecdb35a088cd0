"""Permissions: the roles of a caller and the grant of their token, without the person.

Whatever computes the records and fields that may be seen takes `Permissions`, and so does every cache of such results:
callers with equal permissions share them. The person is a parameter that is bound when a statement runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from changegate.errors import AccessRefused, ScopeMissing
from changegate.services.access.scope_policy import NO_LIMITS, NOTHING, ApiCall, CallLimits, ScopePolicy

# A role on the left includes the roles on the right.
CONTAINED_ROLES = {"mi_admin": {"oauth_admin"}, "change_manager": {"itil", "sn_change_write"}}
INTEGRATION_ADMINISTRATORS = frozenset({"admin", "oauth_admin", "mi_admin"})


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What an access token grants: its integration, the names of its scopes, and the policy that they form now.

    `limits_now` are the limits of the current call.
    """

    entity: str
    scope: str
    policy: ScopePolicy = NOTHING
    limits_now: CallLimits = NO_LIMITS

    def limited_to(self, limits: CallLimits) -> "TokenGrant":
        """Return the grant with the limits of a call."""
        # Not `dataclasses.replace`, which takes longer than the lookups of a cached statement.
        return TokenGrant(self.entity, self.scope, self.policy, limits)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a caller may do: the user's roles, limited by `grant` if an access token acts for the user."""

    roles: frozenset[str]
    grant: TokenGrant | None = None

    def has_role(self, roles: Iterable[str]) -> bool:
        """Return whether one of `roles` is held; administrators hold all of them."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)

    def require_role(self, roles: Iterable[str], detail: str) -> None:
        """Check that one of `roles` is held. Raises `AccessRefused` with `detail`."""
        if not self.has_role(roles):
            raise AccessRefused("Operation Failed", detail)

    def has_scope(self, call: ApiCall) -> bool:
        """Return whether the token's scopes cover a call; true without a token."""
        return self.grant is None or self.grant.policy.limits_of(call) is not None

    def require_scope(self, call: ApiCall) -> "Permissions":
        """Return the permissions with the limits of a call. Raises `ScopeMissing` if the scopes do not cover it."""
        if self.grant is None:
            return self
        limits = self.grant.policy.limits_of(call)
        if limits is None:
            raise ScopeMissing(call)
        return self if limits == self.grant.limits_now else Permissions(self.roles, self.grant.limited_to(limits))

    def has_rule_of(self, table: str) -> bool:
        """Return whether a rule of the token's scopes names a table, instead of every table; true without a token."""
        return self.grant is None or any(rule.table == table for rule in self.grant.policy.held)

    def within(self, calls: Iterable[ApiCall]) -> "Permissions":
        """Return the permissions with the combined limits of several calls, for a request that performs all of them."""
        if self.grant is None:
            return self
        limits = (self.grant.policy.limits_of(call) or NO_LIMITS for call in calls)
        strictest = reduce(CallLimits.and_also, limits, NO_LIMITS)
        return Permissions(self.roles, self.grant.limited_to(strictest))

    def require_writable(self, fields: Iterable[str], created_by: str | None = None) -> None:
        """Check that the token's scopes allow writing some fields. Raises `AccessRefused`.

        `created_by` is the sys_id of the integration that created the record, or None.
        """
        if refused := self.unwritable(fields, created_by):
            raise AccessRefused("Operation Failed", f"The access token may not write the field {min(refused)}")

    def unwritable(self, fields: Iterable[str], created_by: str | None = None) -> frozenset[str]:
        """Return the fields that the token's scopes do not allow writing; none without a token."""
        if self.grant is None:
            return frozenset()
        limits = self.grant.limits_now
        writable = limits.writable_fields if created_by == self.grant.entity else limits.fields_elsewhere
        return frozenset() if writable is None else frozenset(fields) - writable

    @property
    def only_own_records(self) -> bool:
        """Return whether the call is limited to records that the token's integration created."""
        return self.grant is not None and self.grant.limits_now.own_records


def expand_roles(joined: str | None) -> frozenset[str]:
    """Return the roles of a comma-separated text and the roles that they include."""
    roles = set(filter(None, (joined or "").split(",")))
    # One level is enough: no included role includes others.
    for name in tuple(roles):
        roles |= CONTAINED_ROLES.get(name, set())
    return frozenset(roles)
