"""Manage Tokens: the lists of live access and refresh tokens, and their revocation, by token or by integration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from changegate.console.guards import caller, manages_integrations, require_integration_administrator
from changegate.console.local_paths import local_path
from changegate.console.local_times import shown
from changegate.console.records.computed_lists import Row, add_computed_table
from changegate.console.records.list_state import ListState
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.database import commit, connection
from changegate.errors import RecordNotFound
from changegate.extensions import db, settings
from changegate.models import OAuthEntity, OAuthRefreshToken
from changegate.models.base import SYS_ID_LENGTH, Entry
from changegate.models.integration_choices import ID_TOKEN
from changegate.services.catalog.access import READ_BY_ANYONE
from changegate.services.integrations.integrations import end_tokens, get_integration
from changegate.services.oauth.event_search import get_event
from changegate.services.oauth.live_refresh_tokens import MOST_LISTED, search_refresh_tokens
from changegate.services.oauth.refresh_tokens import end_refresh_token
from changegate.services.oauth.revocation import end_token
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, equal_query
from changegate.services.tables.reading.records import count_records, read_page
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

MOST_OWNED = 1000
bp = Blueprint("manage_tokens", __name__, url_prefix="/tokens")
bp.before_request(require_integration_administrator)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of the live access tokens, newest first."""
    return list_page(get_table("oauth_credential"))


def _context(records: Sequence[WireRecord]) -> Mapping[str, Any]:
    """Return the integration that the list is limited to, and those whose tokens are ID tokens."""
    sent = current_request()
    chosen = _find_chosen(ListState.of_arguments(get_table("oauth_credential"), sent.args).conditions)
    of_id_tokens = select(OAuthEntity.sys_id).where(OAuthEntity.type == ID_TOKEN)
    return {
        "chosen": chosen,
        "has_refresh_tokens": chosen is not None and bool(search_refresh_tokens([chosen.sys_id])),
        "of_id_tokens": {*connection().execute(of_id_tokens).scalars()} if records else set(),
        "next_url": sent.full_path.rstrip("?"),
        "issues_refresh_tokens": settings().password_grant_enabled,
    }


def _refresh_rows() -> Iterator[Row]:
    """Yield the live refresh tokens, for owners those of their integrations."""
    entities = None
    if not manages_integrations():
        shape = Shape("", exclude_reference_link=True, fields=("sys_id",))
        owned = read_page(get_table("oauth_entity"), caller(), EncodedQuery(()), shape, limit=MOST_OWNED, offset=0)
        entities = [each["sys_id"] for each in owned.records]
    for token in search_refresh_tokens(entities):
        yield {"sys_id": token.correlation_id, **asdict(token), "scopes": ", ".join(token.scopes)}


def _refresh_links(row: Row) -> Mapping[str, str]:
    return {"sys_id": url_for("inbound_integrations.record_view", client_id=row["client_id"])}


REFRESH_TOKENS = add_computed_table(
    "refresh_token",
    "Refresh Token",
    {
        "issued_at": Entry("glide_date_time", "Issued"),
        "integration": Entry("string", "Integration"),
        "entity": Entry("GUID", "Sys ID of the integration", SYS_ID_LENGTH),
        "user_name": Entry("string", "User ID"),
        "scopes": Entry("string", "Scope"),
        "last_used_at": Entry("glide_date_time", "Last used"),
        "expires_at": Entry("glide_date_time", "Expires"),
    },
    display_field="sys_id",
    # The rows are those of integrations that the user may see.
    access=READ_BY_ANYONE,
    rows=_refresh_rows,
    links=_refresh_links,
)
show_list_with(
    "refresh_token",
    "console/refresh_tokens.html",
    lambda _records: {"next_url": current_request().full_path.rstrip("?"), "most": MOST_LISTED},
)


@bp.get("/refresh-tokens")
def refresh_tokens_view() -> ResponseReturnValue:
    """Show a page of the live refresh tokens, newest first."""
    return list_page(REFRESH_TOKENS)


def _find_chosen(query: EncodedQuery) -> OAuthEntity | None:
    """Return the integration that is the only condition of a query, if the user may see it."""
    match query.alternatives:
        case (((Condition("entity", "=", sys_id),),),):
            is_visible = count_records(get_table("oauth_entity"), caller(), equal_query("sys_id", sys_id)) > 0
            return db.session.get(OAuthEntity, sys_id) if is_visible else None
    return None


show_list_with("oauth_credential", "console/manage_tokens.html", _context)


@bp.post("/<correlation_id>/revoke")
def revoke_view(correlation_id: str) -> ResponseReturnValue:
    """Revoke the token of an exchange; raises `RecordNotFound`."""
    event = get_event(correlation_id)
    if event.token_hash is None:
        raise RecordNotFound
    integration = db.session.get(OAuthEntity, event.entity)
    name = integration.name if integration else event.client_id
    was_live = end_token(correlation_id)
    commit()
    ended = "is revoked: it has stopped working" if was_live else "was already revoked"
    flash(f"The token of {name} from {shown(event.happened_at)} {ended}.")
    return _back()


@bp.post("/refresh-tokens/<correlation_id>/revoke")
def revoke_refresh_token_view(correlation_id: str) -> ResponseReturnValue:
    """Revoke the refresh token of an exchange and the access tokens issued for it; raises `RecordNotFound`."""
    row = db.session.get(OAuthRefreshToken, correlation_id)
    if row is None:
        raise RecordNotFound
    was_live = end_refresh_token(correlation_id, row.user, row.entity)
    commit()
    ended = "is revoked: it and its access tokens have stopped working" if was_live else "was already revoked"
    flash(f"The refresh token issued at {shown(row.issued_at)} {ended}.")
    return _back()


@bp.post("/integrations/<client_id>/revoke")
def revoke_all_view(client_id: str) -> ResponseReturnValue:
    """Revoke every token of an integration, including one being issued concurrently; raises `RecordNotFound`."""
    entity = get_integration(client_id)
    end_tokens(entity, by=caller().user_name)
    commit()
    flash(f"All tokens of {entity.name} are revoked: they have stopped working. The integration can get new tokens.")
    return _back()


def _back() -> ResponseReturnValue:
    return redirect(local_path(current_request().form.get("next")) or url_for("manage_tokens.list_view"))
