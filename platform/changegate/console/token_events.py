"""Token events: exchanges with their outcome, reason, and remedy.

See docs/reference/inbound-integrations.md#console.
"""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, manages_integrations, require_integration_administrator
from changegate.console.integrations.claim_pins import list_claims
from changegate.console.integrations.pages import stale_integration
from changegate.console.local_times import shown
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.database import commit
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db, now
from changegate.models import OAuthEntity, OAuthExchange, SysUser
from changegate.schemas.presets import Preset, find_by_issuer, find_preset
from changegate.services.integrations.integrations import constrain, lock_integration
from changegate.services.oauth.event_bounds import write_counts
from changegate.services.oauth.event_search import find_events_by_id, get_event
from changegate.services.oauth.events import advice_of, claims_of, has_report, report_of
from changegate.services.tables.queries.encoded_query import equal_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

NOT_THERE = "The event has no claim {} that a condition can use."
bp = Blueprint("token_events", __name__, url_prefix="/inbound-integrations/events")
bp.before_request(require_integration_administrator)
show_list_with("oauth_exchange", "console/token_events.html")


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of events, newest first, or the event whose correlation ID is searched for."""
    sent = current_request().args
    text = sent.get("correlation_id", sent.get("search", ""))
    # An ID is found by its beginning. Owners find those of their integrations.
    found = [event.correlation_id for event in find_events_by_id(text, limit=2)]
    if len(found) == 1 and (manages_integrations() or _is_own(found[0])):
        return redirect(url_for("token_events.record_view", correlation_id=found[0]))
    write_counts()
    return list_page(get_table("oauth_exchange"))


@bp.get("/<correlation_id>")
def record_view(correlation_id: str) -> str:
    """Show an event; raises `RecordNotFound`."""
    event = get_event(correlation_id)
    entity = _find_entity(event)
    provider = _provider_of(event, entity)
    claims = claims_of(event)
    return render_template(
        "console/token_event.html",
        event=event,
        entity=entity,
        rules=report_of(event),
        has_report=has_report(event, now()),
        advice=advice_of(event),
        facts=_facts(event),
        claims=list_claims(claims, provider) if claims else [],
        knows_provider=provider is not None,
        constrained=_constrained(entity),
    )


@bp.post("/<correlation_id>/constrain")
def constrain_view(correlation_id: str) -> ResponseReturnValue:
    """Add the condition to the integration that a claim has the value of this event, enforced or only reported.

    Raises `InputInvalid`, and `RecordNotFound` for a refused event, whose claims were not verified.
    """
    sent = current_request()
    event = get_event(correlation_id)
    entity = _find_entity(event)
    if entity is None or not event.is_accepted:
        raise RecordNotFound
    provider = _provider_of(event, entity)
    name, reports = sent.form.get("claim", ""), sent.form.get("mode") != "enforce"
    chosen = {claim.name: claim for claim in list_claims(claims_of(event) or {}, provider)}.get(name)
    if chosen is None or not chosen.can_be_constrained(provider is not None) or not (reports or chosen.is_immutable):
        raise InputInvalid({"claim": [NOT_THERE.format(name[:100])]})
    entity = lock_integration(entity.client_id)
    if stale := stale_integration(entity):
        return stale
    constrain(entity, chosen.name, chosen.value, report_only=reports, by=caller().user_name)
    commit()
    what = "reports" if reports else "refuses"
    flash(f"From now on, {entity.name} {what} every token with another {chosen.name}.")
    return redirect(url_for("inbound_integrations.record_view", client_id=entity.client_id))


def _is_own(correlation_id: str) -> bool:
    return count_records(get_table("oauth_exchange"), caller(), equal_query("sys_id", correlation_id)) > 0


def _find_entity(event: OAuthExchange) -> OAuthEntity | None:
    return db.session.get(OAuthEntity, event.entity) if event.entity else None


def _provider_of(event: OAuthExchange, entity: OAuthEntity | None) -> Preset | None:
    preset = find_preset(entity.preset) if entity else None
    return preset or find_by_issuer(event.issuer or "")


def _constrained(entity: OAuthEntity | None) -> set[str]:
    """Return the claims that already have a condition; empty without an integration."""
    return {condition["claim"] for condition in entity.claim_conditions or ()} if entity else set()


def _facts(event: OAuthExchange) -> list[tuple[str, object]]:
    user = db.session.get(SysUser, event.user) if event.user else None
    acts_as = f"User deleted: {event.user}" if event.user and user is None else user and user.user_name
    return [
        ("Address", event.address),
        ("Request", event.request),
        ("Client ID", event.client_id),
        ("Issuer", event.issuer),
        ("Subject", event.subject),
        ("Key ID", event.kid),
        ("Algorithm", event.algorithm),
        ("Digest of the jti", event.jti_digest),
        ("Token acts as", acts_as),
        ("Scope", event.scope),
        ("Token expires", event.expires_at and shown(event.expires_at)),
        ("Token revoked", event.revoked_at and shown(event.revoked_at)),
    ]
