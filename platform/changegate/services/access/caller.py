"""Who is calling, and what that allows."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

from changegate.errors import AccessRefused, ScopeMissing
from changegate.services.access.scope_policy import NO_LIMITS, NOTHING, ApiCall, CallLimits, ScopePolicy

# A role on the left holds every role on the right.
CONTAINED_ROLES = {"mi_admin": {"oauth_admin"}, "change_manager": {"itil", "sn_change_write"}}
INTEGRATION_ADMINISTRATORS = frozenset({"admin", "oauth_admin", "mi_admin"})


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What came with an access token: the integration, the names of its scopes, and what they allow now.

    `limits_now` are those of the call that is being made.
    """

    entity: str
    scope: str
    policy: ScopePolicy = NOTHING
    limits_now: CallLimits = NO_LIMITS


class TokenOrigin(NamedTuple):
    """What an access token was bought with: the integration's client, the exchange and what its assertion claimed.

    `claims` are those verified, as they are stored. `is_limited` tells of a quota on creations.
    """

    client_id: str
    correlation_id: str
    preset: str | None = None
    issuer: str | None = None
    subject: str | None = None
    claims: bytes | None = None
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """A user at work, by name and role; with `grant` and `origin` when an access token acts for the user.

    Times are shown to the caller, and read where they come as display values, in `time_zone`; None is UTC.
    """

    sys_id: str
    user_name: str
    roles: frozenset[str]
    grant: TokenGrant | None = field(default=None)
    origin: TokenOrigin | None = field(default=None, compare=False, repr=False)
    time_zone: ZoneInfo | None = None

    @property
    def account(self) -> tuple[str, str]:
        """Return what long requests are counted by: the user, and the integration of a token."""
        return self.sys_id, self.grant.entity if self.grant else ""

    def has_role(self, roles: Iterable[str]) -> bool:
        """Tell whether the caller holds one of `roles`; the administrator holds them all."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)

    def require_role(self, roles: Iterable[str], detail: str) -> None:
        """Refuse a caller who holds none of `roles`."""
        if not self.has_role(roles):
            raise AccessRefused("Operation Failed", detail)

    def has_scope(self, call: ApiCall) -> bool:
        """Tell whether the token's scopes cover a call; users without a token have no scopes to miss."""
        return self.grant is None or self.grant.policy.limits_of(call) is not None

    def require_scope(self, call: ApiCall) -> "Caller":
        """Return the caller as far as a call may go; raises `ScopeMissing` where the token's scopes do not cover it."""
        if self.grant is None:
            return self
        limits = self.grant.policy.limits_of(call)
        if limits is None:
            raise ScopeMissing(call)
        return self if limits == self.grant.limits_now else replace(self, grant=replace(self.grant, limits_now=limits))

    def within(self, calls: Iterable[ApiCall]) -> "Caller":
        """Return the caller as far as all of some calls may go together, for a request that is several at once."""
        if self.grant is None:
            return self
        limits = (self.grant.policy.limits_of(call) or NO_LIMITS for call in calls)
        strictest = reduce(CallLimits.and_also, limits, NO_LIMITS)
        return replace(self, grant=replace(self.grant, limits_now=strictest))

    def require_writable(self, fields: Iterable[str], created_by: str | None = None) -> None:
        """Refuse a write of fields that the token's scopes leave out.

        `created_by` is the integration that the record comes from, if it comes from one.
        """
        if self.grant is None:
            return
        limits = self.grant.limits_now
        writable = limits.writable_fields if created_by == self.grant.entity else limits.fields_elsewhere
        refused = [] if writable is None else sorted(set(fields) - writable)
        if refused:
            raise AccessRefused("Operation Failed", f"The access token may not write the field {refused[0]}")

    @property
    def own_records_of(self) -> str | None:
        """The integration to whose records the call is limited, if it is."""
        return self.grant.entity if self.grant is not None and self.grant.limits_now.own_records else None


@lru_cache(maxsize=1024)
def expand_roles(joined: str | None) -> frozenset[str]:
    """Return the roles of a comma-joined text and all that they contain."""
    found = set(filter(None, (joined or "").split(",")))
    for name in tuple(found):
        found |= CONTAINED_ROLES.get(name, set())
    return frozenset(found)
