"""The caller of a request: the user, what they may do, and the token that acts for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import ApiCall


class TokenOrigin(NamedTuple):
    """The origin of an access token: the client, the exchange, and the assertion that was exchanged for it.

    `claims` are the verified claims in their stored form. `is_limited` is true if the integration has a creation quota,
    `is_of_account` if all its tokens act as one account, whatever their subject.
    """

    client_id: str
    correlation_id: str
    preset: str | None = None
    issuer: str | None = None
    subject: str | None = None
    claims: bytes | None = None
    is_limited: bool = False
    is_of_account: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a request, with `origin` if an access token acts for the user.

    Display values of times are in `time_zone`; None is UTC.
    """

    sys_id: str
    user_name: str
    permissions: Permissions
    origin: TokenOrigin | None = field(default=None, compare=False, repr=False)
    time_zone: ZoneInfo | None = None

    # Not hashable, so that no cache has it as a key: what depends on permissions alone is cached by `Permissions`.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    @property
    def roles(self) -> frozenset[str]:
        """Return the user's roles and the roles that they include."""
        return self.permissions.roles

    @property
    def grant(self) -> TokenGrant | None:
        """Return what the access token grants, or None for a caller without one."""
        return self.permissions.grant

    @property
    def is_subject(self) -> bool:
        """Return whether the user themselves is the caller: by password, or as the subject of a token."""
        return self.grant is None or (self.origin is not None and not self.origin.is_of_account)

    @property
    def account(self) -> tuple[str, str]:
        """Return the key by which long requests are counted: the user, and the integration of the token."""
        return self.sys_id, self.grant.entity if self.grant else ""

    def require_scope(self, call: ApiCall) -> "Caller":
        """Return the caller with the limits of a call. Raises `ScopeMissing` if the token's scopes do not cover it."""
        return self._with(self.permissions.require_scope(call))

    def within(self, calls: Iterable[ApiCall]) -> "Caller":
        """Return the caller with the combined limits of several calls, for a request that performs all of them."""
        return self._with(self.permissions.within(calls))

    def _with(self, permissions: Permissions) -> "Caller":
        if permissions is self.permissions:
            return self
        return Caller(self.sys_id, self.user_name, permissions, self.origin, self.time_zone)


def as_process(caller: Caller) -> Caller:
    """Return the caller for records that a rule writes in their name: without the limits of roles and tokens."""
    return Caller(caller.sys_id, caller.user_name, Permissions(frozenset({"admin"})), time_zone=caller.time_zone)


# The caller of jobs, and of what Changegate does by rule.
SYSTEM_CALLER = Caller("", "system", Permissions(frozenset()))
