"""Who is calling, and what that allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from changegate.errors import AccessRefused, ScopeMissing

# A role on the left holds every role on the right.
CONTAINED_ROLES = {"mi_admin": {"oauth_admin"}, "change_manager": {"itil", "sn_change_write"}}
INTEGRATION_ADMINISTRATORS = frozenset({"admin", "oauth_admin", "mi_admin"})


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call as a scope sees it: an API, an HTTP method and the table it works on."""

    rest_api: str
    http_method: str
    table: str


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How far a call may go: the fields it may write, None for all, and whether to what its integration created."""

    writable_fields: frozenset[str] | None = None
    own_records: bool = False

    def or_else(self, other: "CallLimits") -> "CallLimits":
        """Return the limits of a call that two rules cover: what either allows, it may."""
        fields = (self.writable_fields, other.writable_fields)
        both = None if None in fields else frozenset().union(*(found or () for found in fields))
        return CallLimits(both, self.own_records and other.own_records)


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What came with an access token: the integration, the calls its scopes cover now, and how far those may go.

    `limits` holds the limited ones of `calls`. `limits_now` are those of the call that is being made.
    """

    entity: str
    scope: str
    calls: frozenset[ApiCall]
    limits: Mapping[ApiCall, CallLimits] = field(default_factory=dict, hash=False)
    limits_now: CallLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Caller:
    """A user at work, by name and role; with `grant` when an access token acts for the user."""

    sys_id: str
    user_name: str
    roles: frozenset[str]
    grant: TokenGrant | None = field(default=None)

    def has_role(self, roles: Iterable[str]) -> bool:
        """Tell whether the caller holds one of `roles`; the administrator holds them all."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)

    def require_role(self, roles: Iterable[str], detail: str) -> None:
        """Refuse a caller who holds none of `roles`."""
        if not self.has_role(roles):
            raise AccessRefused("Operation Failed", detail)

    def has_scope(self, call: ApiCall) -> bool:
        """Tell whether the token's scopes cover a call; users without a token have no scopes to miss."""
        return self.grant is None or call in self.grant.calls

    def require_scope(self, call: ApiCall) -> "Caller":
        """Return the caller as far as a call may go; raises `ScopeMissing` where the token's scopes do not cover it."""
        if self.grant is None:
            return self
        if call not in self.grant.calls:
            raise ScopeMissing
        limits = self.grant.limits.get(call, NO_LIMITS)
        return self if limits == self.grant.limits_now else replace(self, grant=replace(self.grant, limits_now=limits))

    def within(self, calls: Iterable[ApiCall]) -> "Caller":
        """Return the caller as far as all of some calls may go together, for a request that is several at once."""
        if self.grant is None or not self.grant.limits:
            return self
        limits = [self.grant.limits.get(call, NO_LIMITS) for call in calls]
        fields = [limit.writable_fields for limit in limits if limit.writable_fields is not None]
        strictest = CallLimits(
            frozenset.intersection(*fields) if fields else None, any(limit.own_records for limit in limits)
        )
        return replace(self, grant=replace(self.grant, limits_now=strictest))

    def require_writable(self, fields: Iterable[str]) -> None:
        """Refuse a write of fields that the token's scopes leave out."""
        if self.grant is None or self.grant.limits_now.writable_fields is None:
            return
        refused = sorted(set(fields) - self.grant.limits_now.writable_fields)
        if refused:
            raise AccessRefused("Operation Failed", f"The access token may not write the field {refused[0]}")

    @property
    def own_records_of(self) -> str | None:
        """The integration to whose records the call is limited, if it is."""
        return self.grant.entity if self.grant is not None and self.grant.limits_now.own_records else None


def expand_roles(names: Iterable[str]) -> frozenset[str]:
    """Return the roles and all that they contain."""
    found = set(names)
    for name in tuple(found):
        found |= CONTAINED_ROLES.get(name, set())
    return frozenset(found)
