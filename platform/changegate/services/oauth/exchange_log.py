"""The event log as one source: recent exchanges, and old ones, which have no report.

    oauth_exchange          the exchange with its report ──┐
                            │ thin_reports                 ├──> LoggedExchange
    oauth_thinned_exchange  when, and which kind ──────────┘
    oauth_exchange_kind     who, with which result

What finds a token or an assertion reads `OAuthExchange`: old exchanges have neither any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, cast, func, insert, null, select, text, union_all
from sqlalchemy.orm import aliased

from changegate.database import connection
from changegate.models import OAuthExchange, OAuthExchangeKind, OAuthThinnedExchange

_EXCHANGE = OAuthExchange.__table__.c
_KIND, _THINNED = OAuthExchangeKind.__table__.c, OAuthThinnedExchange.__table__.c
_OF_KIND = tuple(name for name in _KIND.keys() if name != "id")
# What is kept of an old exchange.
KEPT_COLUMNS = tuple(name for name in _EXCHANGE.keys() if name in _THINNED or name in _KIND)


def _thinned() -> Select[Any]:
    """Return the statement for old exchanges with the columns of `OAuthExchange`."""
    kept: dict[str, Any] = {name: _THINNED[name] if name in _THINNED else _KIND[name] for name in KEPT_COLUMNS}
    kept["algorithm"] = cast(func.coalesce(_KIND.algorithm, _THINNED.algorithm), _KIND.algorithm.type)
    rows = (
        select(*(column.label(name) for name, column in kept.items()))
        .select_from(OAuthThinnedExchange.__table__.join(OAuthExchangeKind.__table__))
        # PostgreSQL plans a join in a UNION separately. Without an order, it would read and sort all rows for a page.
        .suffix_with(text("ORDER BY correlation_id DESC"), dialect="postgresql")
        .subquery("thinned")
        .c
    )
    # Of the same types as in the other part. Otherwise, neither database uses an index of both for the whole.
    return select(
        *((rows[name] if name in rows else cast(null(), column.type)).label(name) for name, column in _EXCHANGE.items())
    )


EXCHANGE_LOG = union_all(select(*select(*_EXCHANGE).subquery("recent").c), _thinned()).subquery("oauth_exchange_log")
LoggedExchange = aliased(OAuthExchange, EXCHANGE_LOG)


def keep_thinned(exchanges: Sequence[Any]) -> None:
    """Store what is kept of old exchanges; `exchanges` are rows of `KEPT_COLUMNS`."""
    kinds = [_kind_of(exchange) for exchange in exchanges]
    numbers = _numbers_of_kinds(dict.fromkeys(kinds))
    rows = [
        {
            "correlation_id": exchange.correlation_id,
            "happened_at": exchange.happened_at,
            "kind": numbers[kind],
            "algorithm": None if exchange.is_accepted else exchange.algorithm,
            # Known clients are named by their integration.
            "client_id": None if exchange.entity else exchange.client_id,
            "request": exchange.request,
        }
        for exchange, kind in zip(exchanges, kinds, strict=True)
    ]
    if rows:
        connection().execute(insert(OAuthThinnedExchange.__table__), rows)


def _kind_of(exchange: Any) -> tuple[Any, ...]:
    of_kind = {name: getattr(exchange, name) for name in _OF_KIND}
    return tuple((of_kind if exchange.is_accepted else {**of_kind, "algorithm": None}).values())


def _numbers_of_kinds(kinds: Iterable[tuple[Any, ...]]) -> Mapping[tuple[Any, ...], int]:
    """Return the numbers of kinds, and store those that are new.

    Two transactions may store the same kind: both numbers then mean the same.
    """
    numbers = {_kind_of(row): row.id for row in connection().execute(select(*_KIND)).all()}
    for kind in kinds:
        if kind not in numbers:
            added = insert(OAuthExchangeKind.__table__).values(dict(zip(_OF_KIND, kind, strict=True)))
            numbers[kind] = connection().execute(added.returning(_KIND.id)).scalar_one()
    return numbers
