"""A provider that is down while its keys in the cache of an instance are stale."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import create_engine, func, select, update

from benchmarks.errors import BenchFailed
from benchmarks.product import Instance
from benchmarks.provider import Provider
from changegate.models import JwksCache, OAuthEntity

# Longer than keys are renewed in the background, and shorter than the day for which they are used in an outage.
AGE = timedelta(hours=3)


def take_down(provider: Provider, database_url: str, instance: Instance) -> None:
    """Stop a provider, and make its cached keys stale. Raises `BenchFailed` if they are not cached."""
    provider.end()
    fetched_at = datetime.now(UTC) - AGE
    entity = select(OAuthEntity.sys_id).where(OAuthEntity.client_id == instance.client_id).scalar_subquery()
    times = {"fetched_at": fetched_at, "fresh_until": fetched_at + timedelta(minutes=1)}
    is_cached = JwksCache.document_sha256.is_not(None)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        aged = connection.execute(update(JwksCache).where(JwksCache.entity_id == entity, is_cached).values(times))
    engine.dispose()
    if aged.rowcount != 1:
        raise BenchFailed("The keys of the provider that goes down are not cached.")


def count_failures(database_url: str, instance: Instance) -> int:
    """Return the number of consecutive failed fetches of an instance."""
    of_it = select(func.max(JwksCache.failures)).join(OAuthEntity, OAuthEntity.sys_id == JwksCache.entity_id)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        failures = connection.scalar(of_it.where(OAuthEntity.client_id == instance.client_id))
    engine.dispose()
    return int(failures or 0)
