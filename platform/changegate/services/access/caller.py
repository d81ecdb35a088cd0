"""The caller of a request, with roles, token grant, and time zone."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

from changegate.errors import AccessRefused, ScopeMissing
from changegate.services.access.permissions import TokenGrant
from changegate.services.access.scope_policy import NO_LIMITS, ApiCall, CallLimits


class TokenOrigin(NamedTuple):
    """The origin of an access token: the client, the exchange, and the assertion that was exchanged for it.

    `claims` are the verified claims in their stored form. `is_limited` is true if the integration has a creation quota.
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
    """The user who makes a request, with `grant` and `origin` if an access token acts for the user.

    Display values of times are in `time_zone`; None is UTC.
    """

    sys_id: str
    user_name: str
    roles: frozenset[str]
    grant: TokenGrant | None = field(default=None)
    origin: TokenOrigin | None = field(default=None, compare=False, repr=False)
    time_zone: ZoneInfo | None = None

    @property
    def account(self) -> tuple[str, str]:
        """Return the key by which long requests are counted: the user, and the integration of the token."""
        return self.sys_id, self.grant.entity if self.grant else ""

    def has_role(self, roles: Iterable[str]) -> bool:
        """Tell whether the caller has one of `roles`; administrators have all of them."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)

    def require_role(self, roles: Iterable[str], detail: str) -> None:
        """Check that the caller has one of `roles`. Raises `AccessRefused` with `detail`."""
        if not self.has_role(roles):
            raise AccessRefused("Operation Failed", detail)

    def has_scope(self, call: ApiCall) -> bool:
        """Tell whether the token's scopes cover a call; true for callers without a token."""
        return self.grant is None or self.grant.policy.limits_of(call) is not None

    def require_scope(self, call: ApiCall) -> "Caller":
        """Return the caller with the limits of a call. Raises `ScopeMissing` if the token's scopes do not cover it."""
        if self.grant is None:
            return self
        limits = self.grant.policy.limits_of(call)
        if limits is None:
            raise ScopeMissing(call)
        return self if limits == self.grant.limits_now else replace(self, grant=replace(self.grant, limits_now=limits))

    def within(self, calls: Iterable[ApiCall]) -> "Caller":
        """Return the caller with the combined limits of several calls, for a request that performs all of them."""
        if self.grant is None:
            return self
        limits = (self.grant.policy.limits_of(call) or NO_LIMITS for call in calls)
        strictest = reduce(CallLimits.and_also, limits, NO_LIMITS)
        return replace(self, grant=replace(self.grant, limits_now=strictest))

    def require_writable(self, fields: Iterable[str], created_by: str | None = None) -> None:
        """Check that the token's scopes allow writing some fields. Raises `AccessRefused`.

        `created_by` is the sys_id of the integration that created the record, or None.
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
        """The integration to whose records the call is limited, or None."""
        return self.grant.entity if self.grant is not None and self.grant.limits_now.own_records else None
