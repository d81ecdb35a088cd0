"""One assertion buys one token (oauth_jwt.md §4.5)."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from changegate.extensions import connection
from changegate.models import OAuthJti
from changegate.services.prepared import Prepared

# Kept past the last instant at which any process could still accept the assertion.
MARGIN = timedelta(seconds=60)
_CLAIMS = {
    name: Prepared(dialect.insert(OAuthJti.__table__).on_conflict_do_nothing(), OAuthJti.__table__.columns.keys())
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


def claim_assertion(entity: str, issuer: str, digest: bytes, usable_until: datetime) -> bool:
    """Claim an assertion for the caller's transaction; False when it has been claimed before.

    One INSERT decides, so that of several processes exactly one wins; the row is committed with the token or not at
    all. The key holds the integration and the issuer: nobody can burn another's ids.
    """
    row = {
        "entity": entity,
        "issuer": issuer,
        "digest": digest.hex(),
        "expires_at": usable_until + MARGIN,
    }
    return _CLAIMS[connection().dialect.name].execute(row) == 1


def purge_claims(now: datetime) -> int:
    """Forget assertions that no clock could accept any more; return how many."""
    return connection().execute(delete(OAuthJti).where(OAuthJti.expires_at < now)).rowcount
