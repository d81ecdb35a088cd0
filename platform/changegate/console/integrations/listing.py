"""The list of integrations: the latest event of each, what needs attention, and the user's drafts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from changegate.console.guards import caller
from changegate.database import connection
from changegate.extensions import now
from changegate.models import IntegrationDraft, OAuthEntity, SysUser
from changegate.services.integrations.drafts import content_of, list_drafts
from changegate.services.integrations.recognition import host_of_issuer
from changegate.services.oauth.event_search import REPORTED_FOR, count_would_refuse, latest_events
from changegate.services.tables.display.display_values import WireRecord


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft in the list, by the name and host that it has so far."""

    draft: IntegrationDraft
    name: str
    host: str


def list_context(records: Sequence[WireRecord]) -> Mapping[str, Any]:
    """Return what the list shows beside the fields of its records, with a constant number of statements."""
    sys_ids = [record["sys_id"]["value"] for record in records]
    return {
        "latest": latest_events(sys_ids),
        "would_refuse": count_would_refuse(now() - REPORTED_FOR),
        "attention": _attention(sys_ids),
        "drafts": _draft_rows(list_drafts(caller().sys_id)),
    }


def _attention(sys_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return what administrators of integrations should look at, by sys_id."""
    entity = OAuthEntity.__table__.c
    # Owners are unchecked references, which outlive the user.
    statement = select(entity.sys_id, entity.owner, entity.owner_group, entity.review_date, SysUser.name)
    statement = statement.outerjoin(SysUser, SysUser.sys_id == entity.owner).where(entity.sys_id.in_(sys_ids))
    return {row.sys_id: [*_faults(row)] for row in connection().execute(statement)}


def _faults(row: Any) -> Iterator[str]:
    if row.owner is None and row.owner_group is None:
        yield "No owner"
    if row.owner is not None and row.name is None:
        yield "Owner deleted"
    if row.review_date is not None and row.review_date < now().date():
        yield "Review overdue"


def _draft_rows(drafts: Iterable[IntegrationDraft]) -> list[DraftRow]:
    answers = ((draft, content_of(draft)["answers"]) for draft in drafts)
    return [DraftRow(draft, values["name"], host_of_issuer(values["issuer"])) for draft, values in answers]
