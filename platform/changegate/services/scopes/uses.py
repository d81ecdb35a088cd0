"""Who else would notice if a scope were changed."""

from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import OAuthEntityScope


def count_scope_uses() -> dict[str, int]:
    """Return how many integrations have each scope, by the scope's sys_id; one that nobody has is missing."""
    counted = select(OAuthEntityScope.scope, func.count()).group_by(OAuthEntityScope.scope)
    return {row[0]: row[1] for row in db.session.execute(counted).all()}
