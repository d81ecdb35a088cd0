"""Permissions: roles with those that they include, and what an access token grants."""

from dataclasses import dataclass
from functools import lru_cache

from changegate.services.access.scope_policy import NO_LIMITS, NOTHING, CallLimits, ScopePolicy

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


@lru_cache(maxsize=1024)
def expand_roles(joined: str | None) -> frozenset[str]:
    """Return the roles of a comma-separated text and the roles that they include."""
    roles = set(filter(None, (joined or "").split(",")))
    # One level is enough: no included role includes others.
    for name in tuple(roles):
        roles |= CONTAINED_ROLES.get(name, set())
    return frozenset(roles)
