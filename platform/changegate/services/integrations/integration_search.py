"""The search of integrations by text and status, sorted by a column of the list."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from changegate.database.text_search import contains
from changegate.extensions import db, now
from changegate.models import OAuthEntity, SysUser
from changegate.services.oauth.exchange_figures import exchange_numbers

LATEST = "latest"
_SEARCHED: tuple[InstrumentedAttribute[Any], ...] = (
    *(OAuthEntity.name, OAuthEntity.provider_name, OAuthEntity.issuer, OAuthEntity.client_id),
    *(SysUser.name, SysUser.user_name),
)
SORT_KEYS: Mapping[str, Any] = {
    "name": func.lower(OAuthEntity.name),
    "type": OAuthEntity.type,
    "provider_name": func.lower(OAuthEntity.provider_name),
    "active": OAuthEntity.active,
    "owner": func.lower(SysUser.name),
    "review_date": OAuthEntity.review_date,
}


def search_integrations(
    text: str = "",
    is_active: bool | None = None,
    *,
    sort: str = "name",
    is_descending: bool = False,
    limit: int,
    offset: int = 0,
) -> tuple[list[OAuthEntity], int]:
    """Return a page of the integrations, and the number of all that match; `sort` is `LATEST` or a key of `SORT_KEYS`.

    The text is searched in name, provider name, issuer, client ID, and owner. Integrations without a value in the
    column that they are sorted by come last.
    """
    # Names of users are unchecked references, so that an owner can be missing.
    statement = select(OAuthEntity).outerjoin(SysUser, SysUser.sys_id == OAuthEntity.owner)
    statement = statement.where(*_conditions(text, is_active))
    counted = statement.with_only_columns(func.count(OAuthEntity.sys_id))
    total: int = db.session.execute(counted).scalar_one()
    ordered = _ordered(statement, sort, is_descending=is_descending)
    return list(db.session.execute(ordered.limit(limit).offset(offset)).scalars()), total


def _conditions(text: str, is_active: bool | None) -> list[ColumnElement[bool]]:
    found = [or_(*(contains(column, text).build() for column in _SEARCHED))] if text else []
    return found if is_active is None else [*found, OAuthEntity.active == is_active]


def _ordered(statement: Select[Any], sort: str, *, is_descending: bool) -> Select[Any]:
    if sort == LATEST:
        numbers = exchange_numbers(now()).c
        of_entity = select(numbers.entity, func.max(numbers.latest).label("latest")).group_by(numbers.entity).subquery()
        statement = statement.outerjoin(of_entity, of_entity.c.entity == OAuthEntity.sys_id)
        key = of_entity.c.latest
    else:
        key = SORT_KEYS[sort]
    order = key.desc() if is_descending else key.asc()
    return statement.order_by(order.nulls_last(), SORT_KEYS["name"], OAuthEntity.sys_id)
