"""The report on an integration's keys: timeline, blocked keys, alerts, and certificate warnings."""

from collections.abc import Sequence
from dataclasses import dataclass

from changegate.extensions import now
from changegate.models import OAuthEntity, OAuthEntityKey, OAuthKeyAlert
from changegate.services.integrations.verifier_maps import list_certificate_warnings
from changegate.services.keys.key_timeline import list_key_alerts, list_keys


@dataclass(frozen=True, slots=True)
class KeyReport:
    """The keys of an integration; `blocked_keys` are thumbprints, possibly of keys that were never published."""

    keys: Sequence[OAuthEntityKey]
    blocked_keys: Sequence[str]
    alerts: Sequence[OAuthKeyAlert]
    warnings: Sequence[str]


def report_keys(entity: OAuthEntity) -> KeyReport:
    """Return the report on an integration's keys."""
    return KeyReport(
        keys=list_keys(entity.sys_id),
        blocked_keys=entity.blocked_keys or (),
        alerts=list_key_alerts(entity.sys_id),
        warnings=list_certificate_warnings(entity, now()),
    )
