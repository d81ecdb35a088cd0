"""The list of integrations: search, filter, sort order, and page; each row with owner and last exchange."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select

from changegate.console.list_arguments import SortedList
from changegate.extensions import db, now
from changegate.models import IntegrationDraft, OAuthEntity, OAuthExchange, SysUser
from changegate.models.connection_type import ConnectionType
from changegate.services.hygiene.authentication_methods import client_authentication_of
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.drafts import content_of
from changegate.services.integrations.integration_search import LATEST, SORT_KEYS, search_integrations
from changegate.services.integrations.recognition import host_of_issuer
from changegate.services.oauth.event_search import REPORTED_FOR, count_would_refuse, latest_events

STATUSES = {"true": "Active", "false": "Inactive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationList(SortedList):
    """The state of the list of integrations."""

    columns: ClassVar = (*SORT_KEYS, LATEST)
    page_size: ClassVar = 50
    filters: ClassVar = {"active": STATUSES}

    active: str = ""
    sort: str = "name"


@dataclass(frozen=True, slots=True)
class IntegrationRow:
    """A row of the list; `owner` is None without an owner, and empty if the user no longer exists."""

    entity: OAuthEntity
    connection: ConnectionType
    client_authentication: str | None
    owner: str | None
    is_overdue: bool
    latest: OAuthExchange | None
    would_refuse: int


def find_rows(state: IntegrationList) -> tuple[list[IntegrationRow], int]:
    """Return the rows of a page, with a constant number of statements, and the number of all matching integrations."""
    entities, total = search_integrations(
        state.search,
        {"true": True, "false": False}.get(state.active),
        sort=state.sort,
        is_descending=state.is_descending,
        limit=state.page_size,
        offset=state.offset,
    )
    return _rows(entities), total


def _rows(entities: Sequence[OAuthEntity]) -> list[IntegrationRow]:
    latest = latest_events(entity.sys_id for entity in entities)
    counts = count_would_refuse(now() - REPORTED_FOR)
    owners = _names_of({entity.owner for entity in entities if entity.owner})
    today = now().date()
    return [
        IntegrationRow(
            entity=entity,
            connection=connection_type_of(entity),
            client_authentication=client_authentication_of(entity, now()),
            owner=owners.get(entity.owner, "") if entity.owner else None,
            is_overdue=entity.review_date is not None and entity.review_date < today,
            latest=latest.get(entity.sys_id),
            would_refuse=counts.get(entity.sys_id, 0),
        )
        for entity in entities
    ]


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft in the list, by the name and host that it has so far."""

    draft: IntegrationDraft
    name: str
    host: str


def list_draft_rows(drafts: Iterable[IntegrationDraft]) -> list[DraftRow]:
    """Return a row for each draft."""
    answers = ((draft, content_of(draft)["answers"]) for draft in drafts)
    return [DraftRow(draft, values["name"], host_of_issuer(values["issuer"])) for draft, values in answers]


def _names_of(users: set[str]) -> dict[str, str]:
    statement = select(SysUser).where(SysUser.sys_id.in_(users))
    return {user.sys_id: user.name for user in db.session.execute(statement).scalars()} if users else {}
