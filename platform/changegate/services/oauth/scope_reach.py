"""The reach of a change to a scope: the integrations that have it, their live tokens, and other integrations."""

from dataclasses import dataclass

from sqlalchemy import func, select

from changegate.database import connection
from changegate.models import OAuthEntity, OAuthEntityScope, SysAuthScope
from changegate.services.oauth.log_tables import count_live_tokens
from changegate.services.scopes.scopes import used_by


@dataclass(frozen=True, slots=True)
class ScopeReach:
    """The integrations and tokens that a change to a scope affects.

    `uses` are the client ids and names of the integrations that have the scope, `live_tokens` the number of their
    tokens that have it. `broadly_scoped` are active integrations without the scope that may call APIs that no scope
    protects: they lose a call once a rule of the scope covers it (docs/reference/inbound-integrations.md#auth-scopes).
    """

    uses: tuple[tuple[str, str], ...] = ()
    live_tokens: int = 0
    broadly_scoped: tuple[tuple[str, str], ...] = ()


def reach_of(scope: SysAuthScope | None) -> ScopeReach:
    """Return the reach of a change to a scope, or, if it is None, of the creation of a scope."""
    if scope is None:
        return ScopeReach(broadly_scoped=_broadly_scoped(""))
    uses = tuple((entity.client_id, entity.name) for entity in used_by(scope))
    return ScopeReach(uses, count_live_tokens(scope=scope.name), _broadly_scoped(scope.sys_id))


def _broadly_scoped(scope: str) -> tuple[tuple[str, str], ...]:
    entity = OAuthEntity.__table__.c
    having = select(OAuthEntityScope.entity).where(OAuthEntityScope.scope == scope)
    open_entities = select(entity.client_id, entity.name).where(entity.active, entity.scope_restriction.is_(False))
    others = open_entities.where(entity.sys_id.not_in(having)).order_by(func.lower(entity.name))
    return tuple((row.client_id, row.name) for row in connection().execute(others).all())
