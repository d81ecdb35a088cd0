"""The jobs that tell people what is ahead: freezes over planned changes, and what integrations need soon."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.models import JwtVerifierMap, Notification, OAuthEntity, SysCertificate, Task
from changegate.services.access.caller import SYSTEM_CALLER
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.jobs.repeating import repeating
from changegate.services.notifications.kinds import EXPIRING, FREEZE_AHEAD
from changegate.services.notifications.subjects import INTEGRATION
from changegate.services.notifications.telling import GROUP, ROLE, USER, Told, tell
from changegate.services.schedules.freezes import freezes_over, read_subject
from changegate.services.schedules.overrides import without_overridden
from changegate.services.schedules.stored import read_schedules

AHEAD = timedelta(days=14)
FREEZE_INTERVAL = timedelta(hours=1)
EXPIRY_INTERVAL = timedelta(hours=6)
MOST_BEGINNING_SOON = 2000
DAY_FORMAT = "%Y-%m-%d"
_TASKS, _ENTITIES = Task.__table__.c, OAuthEntity.__table__.c
_TOLD = Prepared(select(Notification.sys_id).where(Notification.notification_key == parameter("key")).limit(1))


@repeating("notifications.freezes", every=FREEZE_INTERVAL)
def tell_of_freezes(at: datetime) -> bool:
    """Tell people once that a freeze covers the plan of their change, at most `AHEAD` before its start."""
    if any(freeze.schedule.first_start(at, at + AHEAD) for freeze in read_schedules().freezes):
        for change in connection().execute(_planned(at)).mappings().all():
            _tell_of_freezes_over(dict(change))
    return False


@repeating("notifications.expiries", every=EXPIRY_INTERVAL)
def tell_of_expiries(at: datetime) -> bool:
    """Tell the owners of integrations once about reviews, old secrets, and certificates that are due."""
    for event, row, detail in _expiries(at):
        owners = ((USER, row.owner), (GROUP, row.owner_group))
        told: list[Told] = [(EXPIRING, how, who) for how, who in owners if who]
        told = told or [(EXPIRING, ROLE, role) for role in sorted(INTEGRATION_ADMINISTRATORS)]
        key = f"{event} {row.sys_id} {detail}"
        if not _TOLD.first({"key": key}):
            tell(event, INTEGRATION, row.sys_id, told, SYSTEM_CALLER, detail=detail, key=key)
    return False


def _planned(at: datetime) -> Any:
    """Return the statement for the open changes that begin soon, those that begin first."""
    is_open = (_TASKS["sys_class_name"] == "change_request", _TASKS["active"].is_(True))
    is_soon = (_TASKS["start_date"] >= at, _TASKS["start_date"] <= at + AHEAD, _TASKS["end_date"].is_not(None))
    return select(Task.__table__).where(*is_open, *is_soon).order_by(_TASKS["start_date"]).limit(MOST_BEGINNING_SOON)


def _tell_of_freezes_over(change: Mapping[str, Any]) -> None:
    people = {person for name in ("requested_by", "opened_by", "assigned_to") if (person := change[name])}
    told: list[Told] = [(FREEZE_AHEAD, USER, person) for person in sorted(people)]
    spans = freezes_over(read_subject(change), change["start_date"], max(change["end_date"], change["start_date"]))
    for span in without_overridden(change, spans):
        key = f"freeze {span.freeze.sys_id} {change['sys_id']} {change['start_date']:{DAY_FORMAT}}"
        if not _TOLD.first({"key": key}):
            tell(
                "freeze_ahead",
                "change_request",
                change["sys_id"],
                told,
                SYSTEM_CALLER,
                detail=span.freeze.name,
                key=key,
            )


def _expiries(at: datetime) -> Iterator[tuple[str, Any, str]]:
    """Yield what is due: the event, the row of the integration with its owners, and the detail with the date."""
    owners = [_ENTITIES[name] for name in ("sys_id", "owner", "owner_group")]
    is_active, until = _ENTITIES["active"].is_(True), at + AHEAD
    dates = select(*owners, _ENTITIES["review_date"], _ENTITIES["previous_client_secret_expires_at"].label("expires"))
    for row in connection().execute(dates.where(is_active)).all():
        if row.review_date and row.review_date <= until.date():
            yield "review_due", row, f"{row.review_date}"
        if row.expires and at < row.expires <= until:
            yield "secret_expires", row, f"The previous secret expires on {row.expires:{DAY_FORMAT}}."
    certificates = (
        select(*owners, JwtVerifierMap.name, SysCertificate.expires)
        .join(JwtVerifierMap, JwtVerifierMap.entity == _ENTITIES["sys_id"])
        .join(SysCertificate, SysCertificate.sys_id == JwtVerifierMap.sys_certificate)
        .where(is_active, JwtVerifierMap.active, SysCertificate.expires > at, SysCertificate.expires <= until)
    )
    for row in connection().execute(certificates).all():
        yield "certificate_expires", row, f"{row.name} expires on {row.expires:{DAY_FORMAT}}."
