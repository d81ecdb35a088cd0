"""The list of integrations: the latest event of each, what needs attention, and the user's drafts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from sqlalchemy import select

from changegate.console.guards import caller
from changegate.extensions import db, now
from changegate.models import IntegrationDraft, OAuthEntity, SysUser
from changegate.models.connection_type import TYPES
from changegate.services.hygiene.authentication_methods import client_authentication_of
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
    rows = _rows(sys_ids)
    return {
        "links": {row.OAuthEntity.sys_id: {"sys_id": _page_of(row.OAuthEntity)} for row in rows},
        "entities": {row.OAuthEntity.sys_id: row.OAuthEntity for row in rows},
        "kinds": TYPES,
        "clients": {row.OAuthEntity.sys_id: client_authentication_of(row.OAuthEntity, now()) for row in rows},
        "latest": latest_events(sys_ids),
        "would_refuse": count_would_refuse(now() - REPORTED_FOR),
        "attention": {row.OAuthEntity.sys_id: [*_faults(row.OAuthEntity, row.name)] for row in rows},
        "drafts": _draft_rows(list_drafts(caller().sys_id)),
    }


def _rows(sys_ids: Sequence[str]) -> Sequence[Any]:
    # Owners are unchecked references, which outlive the user.
    joined = select(OAuthEntity, SysUser.name).outerjoin(SysUser, SysUser.sys_id == OAuthEntity.owner)
    return db.session.execute(joined.where(OAuthEntity.sys_id.in_(sys_ids))).all()


def _page_of(entity: OAuthEntity) -> str:
    return url_for("inbound_integrations.record_view", client_id=entity.client_id)


def _faults(entity: OAuthEntity, owner: str | None) -> Iterator[str]:
    """Yield what the administrators of an integration should look at; `owner` is the name of its owner."""
    if entity.owner is None and entity.owner_group is None:
        yield "No owner"
    if entity.owner is not None and owner is None:
        yield "Owner deleted"
    if entity.review_date is not None and entity.review_date < now().date():
        yield "Review overdue"


def _draft_rows(drafts: Iterable[IntegrationDraft]) -> list[DraftRow]:
    answers = ((draft, content_of(draft)["answers"]) for draft in drafts)
    return [DraftRow(draft, values["name"], host_of_issuer(values["issuer"])) for draft, values in answers]
