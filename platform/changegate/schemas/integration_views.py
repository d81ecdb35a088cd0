"""What command line and admin API show of integrations beside their fields: events, keys, judged rules."""

from datetime import UTC
from typing import Any

from marshmallow import Schema, fields

from changegate.models.oauth_entity_key import KEY_ALERTS


class Instant(fields.AwareDateTime):
    """An instant in UTC, such as 2030-01-31T08:30:00+00:00."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)


def _text(**options: Any) -> fields.String:
    return fields.String(dump_only=True, **options)


def _text_or_null(**options: Any) -> fields.String:
    return fields.String(dump_only=True, allow_none=True, **options)


class RuleSchema(Schema):
    """A rule that an assertion was judged by; `hint` is advice where it failed."""

    rule = _text()
    passed = fields.Boolean(dump_only=True)
    only_reports = fields.Boolean(dump_only=True)
    reason = _text_or_null()
    expected = _text_or_null()
    received = _text_or_null()
    hint = _text_or_null()


class EventSchema(Schema):
    """An exchange, or a refused call: what was decided and why, rule by rule; never the token or the assertion.

    `request` is the method and path of a refused call. `further_refusals` of the same address or integration followed
    within the minute and have no event of their own.
    """

    correlation_id = _text(attribute="event.correlation_id")
    happened_at = Instant(attribute="event.happened_at", dump_only=True)
    outcome = _text()
    would_refuse = fields.Boolean(dump_only=True)
    reason = _text_or_null(attribute="event.reason")
    detail = _text_or_null(attribute="event.detail")
    client_id = _text_or_null(attribute="event.client_id")
    address = _text_or_null(attribute="event.address")
    request = _text_or_null(attribute="event.request")
    further_refusals = fields.Integer(attribute="event.further_refusals", dump_only=True, allow_none=True)
    issuer = _text_or_null(attribute="event.issuer")
    subject = _text_or_null(attribute="event.subject")
    kid = _text_or_null(attribute="event.kid")
    algorithm = _text_or_null(attribute="event.algorithm")
    jti_digest = _text_or_null(attribute="event.jti_digest")
    scope = _text_or_null(attribute="event.scope")
    expires_at = Instant(attribute="event.expires_at", dump_only=True, allow_none=True)
    revoked_at = Instant(attribute="event.revoked_at", dump_only=True, allow_none=True)
    rules = fields.List(fields.Nested(RuleSchema), dump_only=True)


class KeySchema(Schema):
    """A key that a provider has published, or that is stored with its integration."""

    thumbprint = _text()
    kid = _text()
    algorithms = _text()
    kty = _text()
    size = fields.Integer(dump_only=True)
    first_seen_at = Instant(dump_only=True)
    last_seen_at = Instant(dump_only=True)
    gone_at = Instant(dump_only=True, allow_none=True)


class KeyAlertSchema(Schema):
    """Something about a key set that somebody should look at."""

    happened_at = Instant(dump_only=True)
    kind = _text()
    label = fields.Function(
        lambda alert: KEY_ALERTS.get(alert.kind, alert.kind), dump_only=True, metadata={"type": "string"}
    )
    kid = _text_or_null()
    detail = _text()


class KeyReportSchema(Schema):
    """The keys of an integration and what is to be said of them; `blocked_keys` are thumbprints (RFC 7638)."""

    keys = fields.List(fields.Nested(KeySchema), dump_only=True)
    blocked_keys = fields.List(fields.String(), dump_only=True)
    alerts = fields.List(fields.Nested(KeyAlertSchema), dump_only=True)
    warnings = fields.List(fields.String(), dump_only=True)


class TrialSchema(Schema):
    """A dry run: what an exchange would come to, rule by rule."""

    accepted = fields.Function(lambda run: run.reason is None, dump_only=True, metadata={"type": "boolean"})
    reason = _text_or_null()
    problem = _text_or_null()
    would_refuse = fields.Boolean(dump_only=True)
    user = _text_or_null()
    rules = fields.List(fields.Nested(RuleSchema), attribute="results", dump_only=True)
