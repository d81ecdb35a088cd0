"""The schemas of events, keys, and dry runs, for the command line and the admin API."""

from datetime import UTC
from typing import Any

from marshmallow import Schema, fields

from changegate.models.oauth_entity_key import KEY_ALERTS


class Instant(fields.AwareDateTime):
    """A time in UTC, such as 2030-01-31T08:30:00+00:00."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)


def _text(**options: Any) -> fields.String:
    return fields.String(dump_only=True, **options)


def _text_or_null(**options: Any) -> fields.String:
    return fields.String(dump_only=True, allow_none=True, **options)


class RuleSchema(Schema):
    """A rule that was checked; `hint` is advice if it failed."""

    rule = _text()
    passed = fields.Boolean(dump_only=True)
    only_reports = fields.Boolean(dump_only=True)
    reason = _text_or_null()
    expected = _text_or_null()
    received = _text_or_null()
    hint = _text_or_null()


class EventSchema(Schema):
    """An exchange or a refused call, with its outcome rule by rule; never contains the token or the assertion.

    `request` is the method and path of a refused call. `further_refusals` counts refusals of the same address or
    integration within the same minute, which have no event of their own.
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
    """A key that the provider has published or that is stored with the integration."""

    thumbprint = _text()
    kid = _text()
    algorithms = _text()
    kty = _text()
    size = fields.Integer(dump_only=True)
    first_seen_at = Instant(dump_only=True)
    last_seen_at = Instant(dump_only=True)
    gone_at = Instant(dump_only=True, allow_none=True)


class KeyAlertSchema(Schema):
    """An unusual change of a key set, which administrators should check."""

    happened_at = Instant(dump_only=True)
    kind = _text()
    label = fields.Function(
        lambda alert: KEY_ALERTS.get(alert.kind, alert.kind), dump_only=True, metadata={"type": "string"}
    )
    kid = _text_or_null()
    detail = _text()


class KeyReportSchema(Schema):
    """The keys of an integration and alerts about them; `blocked_keys` are thumbprints (RFC 7638)."""

    keys = fields.List(fields.Nested(KeySchema), dump_only=True)
    blocked_keys = fields.List(fields.String(), dump_only=True)
    alerts = fields.List(fields.Nested(KeyAlertSchema), dump_only=True)
    warnings = fields.List(fields.String(), dump_only=True)


class TrialSchema(Schema):
    """A dry run: the outcome that an exchange would have, rule by rule."""

    accepted = fields.Function(lambda run: run.reason is None, dump_only=True, metadata={"type": "boolean"})
    reason = _text_or_null()
    problem = _text_or_null()
    would_refuse = fields.Boolean(dump_only=True)
    user = _text_or_null()
    rules = fields.List(fields.Nested(RuleSchema), attribute="results", dump_only=True)
