"""What an integration's clients have achieved: the latest accepted exchange, the latest refusal, the latest change."""

from dataclasses import dataclass

from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import OAuthExchange, Task

# How many of the latest events are searched: the page asks every few seconds, and a client may be refused in a loop.
SEARCHED_EVENTS = 200


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The latest accepted exchange and change (its sys_id), and the latest refusal if no exchange succeeded after it.

    `accepted` is None for exchanges that have no report any more or are far behind in the log; their change is found
    anyway.
    """

    accepted: OAuthExchange | None = None
    refused: OAuthExchange | None = None
    change: str | None = None

    @property
    def is_working(self) -> bool:
        """Return whether an exchange has succeeded."""
        return self.accepted is not None or self.change is not None


def find_run_status(entity: str) -> RunStatus:
    """Return the status of an integration, by its sys_id."""
    latest = _find_latest_events(entity)
    accepted, refused = latest.get(True), latest.get(False)
    if accepted and refused and accepted.correlation_id > refused.correlation_id:
        refused = None
    return RunStatus(accepted, refused, _find_latest_change(entity))


def _find_latest_events(entity: str) -> dict[bool, OAuthExchange]:
    """Return the latest accepted and the latest refused event, by outcome."""
    event = OAuthExchange
    newest = event.correlation_id.desc()
    searched = select(event.correlation_id, event.is_accepted).where(event.entity == entity).order_by(newest)
    each = searched.limit(SEARCHED_EVENTS).subquery().c
    latest = select(func.max(each.correlation_id)).group_by(each.is_accepted)
    events = db.session.execute(select(event).where(event.correlation_id.in_(latest))).scalars()
    return {found.is_accepted: found for found in events}


def _find_latest_change(entity: str) -> str | None:
    task = Task.__table__.c
    changes = select(task.sys_id).where(task.oauth_entity == entity, task.sys_class_name == "change_request")
    return db.session.execute(changes.order_by(task.sys_created_on.desc()).limit(1)).scalar()
