"""Who is calling, and what that allows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

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
class TokenGrant:
    """What came with an access token: the integration, and the calls its scopes cover now."""

    entity: str
    scope: str
    calls: frozenset[ApiCall]


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

    def require_scope(self, call: ApiCall) -> None:
        """Refuse a call that the token's scopes do not cover; users without a token have no scopes to miss."""
        if self.grant is not None and call not in self.grant.calls:
            raise ScopeMissing


def expand_roles(names: Iterable[str]) -> frozenset[str]:
    """Return the roles and all that they contain."""
    found = set(names)
    for name in tuple(found):
        found |= CONTAINED_ROLES.get(name, set())
    return frozenset(found)
