"""Thirty days of exchanges of the demo's integrations, for charts, events, and findings to look at."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from sqlalchemy import insert, select

from changegate.database import connection
from changegate.extensions import db, now
from changegate.models import OAuthEntity, OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id, new_correlation_id
from changegate.seed.demo_pipelines import name_deployments, seed_pipeline_changes
from changegate.services.oauth.exchange_figures import count_again

DAYS = 29
# Exchanges of a day, in turn, and the hours between them.
EXCHANGES = (6, 7, 5, 8, 6, 2, 1)
HOURS_BETWEEN = 2
# The days since the provider rotated its key; the first token with the new key came during a cooldown.
ROTATED_BEFORE_DAYS = 12
KIDS = ("demo-before-rotation", "demo-after-rotation")
UNKNOWN_CLIENT = "0" * 32
# Refusals by age in days: reason and detail.
REFUSALS = {
    23: ("expired", "The token expired before it was sent."),
    17: ("client_unknown", None),
    ROTATED_BEFORE_DAYS: ("kid_unknown", "The provider had just rotated its key."),
    5: ("aud_mismatch", "The token was signed for another service."),
}
ADDRESSES = ("192.0.2.10", "192.0.2.11", "198.51.100.7")


def seed_demo_history(integrations: Iterable[str]) -> None:
    """Add exchanges of the last days to the integrations, unless they have old ones."""
    at = now()
    for name in integrations:
        entity = db.session.execute(select(OAuthEntity).where(OAuthEntity.name == name)).scalar_one()
        old = (OAuthExchange.entity == entity.sys_id, OAuthExchange.happened_at < at - timedelta(days=1))
        if connection().execute(select(OAuthExchange.correlation_id).where(*old).limit(1)).first():
            continue
        count_again(earliest_correlation_id(at - timedelta(days=DAYS + 1)), connection())
        rows = list(_rows(entity, at))
        deployments = name_deployments(rows) if entity.active else []
        connection().execute(insert(OAuthExchange), rows)
        seed_pipeline_changes(entity, deployments)


def _rows(entity: OAuthEntity, at: datetime) -> Iterator[dict[str, Any]]:
    addresses = cycle(ADDRESSES)
    for age in range(DAYS, 0, -1):
        kid = KIDS[age <= ROTATED_BEFORE_DAYS]
        if age in REFUSALS:
            yield _row(entity, at - timedelta(days=age, minutes=5), kid) | _refused(*REFUSALS[age])
        for number in range(EXCHANGES[age % len(EXCHANGES)]):
            happened_at = at - timedelta(days=age, hours=-number * HOURS_BETWEEN)
            yield _row(entity, happened_at, kid) | _accepted(entity, happened_at) | {"address": next(addresses)}


def _row(entity: OAuthEntity, at: datetime, kid: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("reason", "detail", "user", "scope", "has_all_scopes", "expires_at")),
        "correlation_id": new_correlation_id(at),
        "happened_at": at,
        "entity": entity.sys_id,
        "client_id": entity.client_id,
        "kid": kid,
        "algorithm": "RS256",
        "issuer": entity.issuer,
        "subject": "pipeline:shop/checkout:main",
    }


def _accepted(entity: OAuthEntity, at: datetime) -> dict[str, Any]:
    return {
        "is_accepted": True,
        "user": entity.run_as,
        "scope": " ".join(scope.name for scope in entity.scopes),
        "has_all_scopes": True,
        "expires_at": at + timedelta(seconds=entity.access_token_lifespan_seconds),
    }


def _refused(reason: str, detail: str | None) -> dict[str, Any]:
    unknown_client = {"entity": None, "client_id": UNKNOWN_CLIENT} if reason == "client_unknown" else {}
    return {"address": ADDRESSES[-1], "is_accepted": False, "reason": reason, "detail": detail, **unknown_client}
