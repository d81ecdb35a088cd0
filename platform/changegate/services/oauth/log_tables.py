"""The event log as tables of the Table API: token events, and the access tokens among them that work now.

Both are views of exchanges, whose rows have no columns of records: the correlation ID is the sys_id. Tokens, their
hashes, and claims are not columns of the views.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, Subquery, bindparam, case, func, literal, or_, select

from changegate.database import connection
from changegate.database.prepared import parameter
from changegate.extensions import now
from changegate.models import OAuthEntity, OAuthEntityScope, OAuthExchange, SysAuthScope, SysUser
from changegate.models.base import Entry, UTCDateTime
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.oauth.access_tokens import ended_type, is_live
from changegate.services.oauth.event_search import ID_LENGTH, OUTCOMES
from changegate.services.oauth.exchange_log import EXCHANGE_LOG
from changegate.services.tables.registry import NOW

# The longest lifespan that the integration schema allows: older exchanges cannot have live tokens and are not read.
LONGEST_LIFESPAN = timedelta(days=1)
# These values do not depend on the caller: every statement over the view asks for them when it runs.
ENDED_TYPE = bindparam("ended_type", type_=String(), callable_=ended_type)
EARLIEST = bindparam(
    "earliest_live", type_=String(), callable_=lambda: earliest_correlation_id(now() - LONGEST_LIFESPAN)
)
_EXCHANGE = OAuthExchange.__table__.c
_LOGGED = EXCHANGE_LOG.c
# Columns of an exchange that both views have.
_SHARED = ("entity", "subject", "user", "issuer", "client_id", "kid", "algorithm", "address", "scope", "expires_at")


def _view(name: str, columns: Mapping[str, Any], source: FromClause, *where: ColumnElement[bool]) -> Subquery:
    labeled = [column.label(key) for key, column in columns.items()]
    return select(*labeled).select_from(source).where(*where).subquery(name)


def _entries(columns: Mapping[str, Any], computed: Mapping[str, Entry]) -> Mapping[str, Entry]:
    """Return the entries of a view: those of computed columns, and those of stored ones; nothing can be written."""
    stored = {key: _EXCHANGE[key].info["entry"] for key in columns if key not in computed}
    return {key: replace(computed.get(key) or stored[key], is_read_only=True) for key in columns}


_OUTCOME = case((_LOGGED.would_refuse.is_(True), "would_refuse"), (_LOGGED.is_accepted, "accepted"), else_="refused")
_OF_RECORDS = {
    "sys_id": Entry("GUID", "Correlation ID", ID_LENGTH),
    "sys_created_on": Entry("glide_date_time", "Time"),
    "sys_updated_on": Entry("glide_date_time", "Updated"),
    "sys_mod_count": Entry("integer", "Updates"),
}
_EVENT_COLUMNS: Mapping[str, Any] = {
    "sys_id": _LOGGED.correlation_id,
    "sys_created_on": _LOGGED.happened_at,
    "outcome": _OUTCOME,
    **{name: _LOGGED[name] for name in ("reason", *_SHARED, "request", "detail", "revoked_at", "further_refusals")},
    "sys_updated_on": func.coalesce(_LOGGED.revoked_at, _LOGGED.happened_at),
    # Refusals that are counted later change the row, and must change its version.
    "sys_mod_count": func.coalesce(_LOGGED.further_refusals, 0),
}
EVENTS = _view("token_events", _EVENT_COLUMNS, EXCHANGE_LOG)
EVENT_ENTRIES = _entries(_EVENT_COLUMNS, {**_OF_RECORDS, "outcome": Entry("choice", "Outcome", 40, choices=OUTCOMES)})


def _has_name(names: Any, name: Any) -> ColumnElement[bool]:
    """Return the clause for a text of names with blanks between them that has a name."""
    in_blanks, wanted = literal(" ") + names + literal(" "), literal(" ") + name + literal(" ")
    # Not LIKE, for which the underscores of a name would be wildcards.
    has_name: ColumnElement[bool] = func.replace(in_blanks, wanted, "") != in_blanks
    return has_name


def _scopes_now() -> Any:
    """Return the names of the scopes that a token has now: those of its integration that it was issued with."""
    is_asked = or_(_EXCHANGE.has_all_scopes.is_(True), _has_name(_EXCHANGE.scope, SysAuthScope.name))
    named = (
        select(SysAuthScope.name)
        .join(OAuthEntityScope, OAuthEntityScope.scope == SysAuthScope.sys_id)
        .where(OAuthEntityScope.entity == _EXCHANGE.entity, is_asked)
        .order_by(SysAuthScope.name)
        .correlate(OAuthExchange)
        .subquery("scopes_now")
    )
    return select(func.aggregate_strings(named.c.name, " ")).correlate(OAuthExchange).scalar_subquery()


_TOKEN_COLUMNS: Mapping[str, Any] = {
    "sys_id": _EXCHANGE.correlation_id,
    "sys_created_on": _EXCHANGE.happened_at,
    **{name: _EXCHANGE[name] for name in _SHARED},
    "scope": _scopes_now(),
    "sys_updated_on": _EXCHANGE.happened_at,
    "sys_mod_count": func.coalesce(_EXCHANGE.further_refusals, 0),
}
# Tokens that `find_token_caller` would accept, without a comparison of their hash.
TOKENS = _view(
    "live_tokens",
    _TOKEN_COLUMNS,
    OAuthExchange.__table__.join(OAuthEntity, OAuthEntity.sys_id == OAuthExchange.entity).join(
        SysUser, SysUser.sys_id == OAuthExchange.user
    ),
    OAuthExchange.correlation_id >= EARLIEST,
    OAuthExchange.token_hash.is_not(None),
    *is_live(parameter(NOW, UTCDateTime()), ENDED_TYPE),
)
TOKEN_ENTRIES = _entries(_TOKEN_COLUMNS, _OF_RECORDS)


def count_live_tokens(*, entity: str | None = None, scope: str | None = None) -> int:
    """Return the number of live tokens: all, those of an integration, or those that have a scope now."""
    clauses = [TOKENS.c.entity == entity] if entity is not None else []
    if scope is not None:
        clauses.append(_has_name(TOKENS.c.scope, scope))
    counted = select(func.count()).select_from(TOKENS).where(*clauses)
    number: int = connection().execute(counted, {NOW: now()}).scalar_one()
    return number
