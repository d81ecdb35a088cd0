"""What a change of a scope reaches: integrations that have it, their live tokens, and integrations that have not."""

from dataclasses import dataclass

from sqlalchemy import func, select

from changegate.database import connection
from changegate.models import OAuthEntity, OAuthEntityScope, SysAuthScope
from changegate.services.oauth.live_tokens import TokenFilter, count_tokens
from changegate.services.scopes.scopes import used_by


@dataclass(frozen=True, slots=True)
class ScopeReach:
    """Whom a change of a scope concerns.

    `uses` are the client ids and names of the integrations that have it, `live_tokens` their tokens that have it.
    `broadly_scoped` are active integrations that do without it and may call what no scope protects: a call that a
    rule covers from now on is no longer theirs (docs/reference/inbound-integrations.md#auth-scopes).
    """

    uses: tuple[tuple[str, str], ...] = ()
    live_tokens: int = 0
    broadly_scoped: tuple[tuple[str, str], ...] = ()


def reach_of(scope: SysAuthScope | None) -> ScopeReach:
    """Return what a change of a scope reaches; of one that is yet to be made, without `scope`."""
    if scope is None:
        return ScopeReach(broadly_scoped=_broadly_scoped(""))
    uses = tuple((entity.client_id, entity.name) for entity in used_by(scope))
    return ScopeReach(uses, count_tokens(TokenFilter(scope=scope.name)), _broadly_scoped(scope.sys_id))


def _broadly_scoped(scope: str) -> tuple[tuple[str, str], ...]:
    entity = OAuthEntity.__table__.c
    having = select(OAuthEntityScope.entity).where(OAuthEntityScope.scope == scope)
    found = select(entity.client_id, entity.name).where(entity.active, entity.scope_restriction.is_(False))
    others = found.where(entity.sys_id.not_in(having)).order_by(func.lower(entity.name))
    return tuple((row.client_id, row.name) for row in connection().execute(others).all())
