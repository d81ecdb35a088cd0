"""The settings that all nodes of a PostgreSQL database must share: the first node records them, others are compared."""

import hmac

from sqlalchemy import false, select, true

from changegate.config import MAY_HOLD_SECRETS, Settings
from changegate.database import commit, connection
from changegate.database.dialects import Upsert
from changegate.errors import ChangegateError
from changegate.extensions import settings
from changegate.models import ClusterValue

_VALUES = ClusterValue.__table__
_ADD = Upsert(_VALUES, lambda _old, _new: false())
_REPLACE = Upsert(_VALUES, lambda _old, _new: true())
# What happens if a setting differs, by the name of the setting.
CONSEQUENCES = {
    "secret_key": "nodes could not use each other's sessions, tokens, and sealed secrets",
    "base_url": "each node would be another issuer of tokens",
}


def require_same_settings(*, is_base_url_set: bool) -> None:
    """Compare the settings of this node with those that are recorded, and record what is missing.

    Raises `ChangegateError` if they differ. SQLite has no other nodes.
    """
    if connection().dialect.name != "postgresql":
        return
    rows = connection().execute(select(_VALUES.c.name, _VALUES.c.value))
    recorded = {row.name: row.value for row in rows}
    for name, value in _own_values(is_base_url_set=is_base_url_set).items():
        if recorded.get(name) is None:
            _ADD.execute({"name": name, "value": value})
            # Another node may have been first.
            chosen = select(_VALUES.c.value).where(_VALUES.c.name == name)
            recorded[name] = connection().execute(chosen).scalar_one()
        if recorded[name] != value:
            values = "" if name in MAY_HOLD_SECRETS else f" ({value} instead of {recorded[name]})"
            raise ChangegateError(
                f"CHANGEGATE_{name.upper()} differs from that of the other nodes of this database{values}:"
                f" {CONSEQUENCES[name]}. Give all nodes the same value. After a deliberate change, run"
                " `changegate cluster accept` once."
            )
    commit()


def record_settings() -> list[str]:
    """Record the settings of this node in place of those that are recorded; return their names.

    Raises `ChangegateError` on SQLite.
    """
    if connection().dialect.name != "postgresql":
        raise ChangegateError("This instance uses SQLite, so there are no other nodes whose settings could differ.")
    own = _own_values(is_base_url_set=has_base_url())
    for name, value in own.items():
        _REPLACE.execute({"name": name, "value": value})
    commit()
    return [f"CHANGEGATE_{name.upper()}" for name in own]


def has_base_url() -> bool:
    """Return whether a base URL is configured. `changegate serve` puts its own address in place of a missing one."""
    return settings().base_url != Settings.base_url


def _own_values(*, is_base_url_set: bool) -> dict[str, str]:
    fingerprint = hmac.digest(settings().secret_key.encode(), b"changegate cluster", "sha256").hex()
    return {"secret_key": fingerprint} | ({"base_url": settings().base_url} if is_base_url_set else {})
