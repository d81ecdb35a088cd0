"""The schemas of findings, machine identities, and exchanges over time, for the command line and the admin API."""

from typing import Any

from marshmallow import Schema, fields, validate

from changegate.models.connection_type import AUTHENTICATION_METHODS
from changegate.schemas.integration_views import Instant

SEVERITIES = ("high", "medium", "low")
SUBJECT_TYPES = ("integration", "account")
METHODS = tuple(dict.fromkeys(method for method, _ in AUTHENTICATION_METHODS))
CLIENT_AUTHENTICATIONS = tuple(dict.fromkeys(proof for _, proof in AUTHENTICATION_METHODS))


def _text(**options: Any) -> fields.String:
    return fields.String(dump_only=True, **options)


def _number() -> fields.Integer:
    return fields.Integer(dump_only=True)


def _yes_or_no(**options: Any) -> fields.Boolean:
    return fields.Boolean(dump_only=True, **options)


def _texts(**options: Any) -> fields.List[Any]:
    return fields.List(fields.String(), dump_only=True, **options)


def _instant(**options: Any) -> Instant:
    return Instant(dump_only=True, **options)


class FindingSchema(Schema):
    """A finding about an integration (client ID) or an account (user name), with its remedy."""

    code = _text()
    severity = _text(validate=validate.OneOf(SEVERITIES))
    subject_type = _text(validate=validate.OneOf(SUBJECT_TYPES))
    subject = _text()
    name = _text()
    sentence = _text()
    remedy = _text()
    target = _text()


class CountsSchema(Schema):
    """The number of findings by severity."""

    high = _number()
    medium = _number()
    low = _number()


class AssessmentSchema(Schema):
    """The security score, 0 (most risk) to 100, with its findings, the most severe first."""

    score = fields.Integer(dump_only=True, validate=validate.Range(min=0, max=100))
    counts = fields.Nested(CountsSchema, dump_only=True)
    findings = fields.List(fields.Nested(FindingSchema), dump_only=True)


class IdentityIntegrationSchema(Schema):
    """An integration that an account acts for."""

    client_id = _text()
    name = _text()


class MachineIdentitySchema(Schema):
    """An account of automation; `privileges` are its roles that a machine should not have."""

    sys_id = _text(attribute="account.sys_id")
    user_name = _text(attribute="account.user_name")
    name = _text(attribute="account.name")
    active = _yes_or_no(attribute="account.is_active")
    web_service_access_only = _yes_or_no(attribute="account.web_service_access_only")
    machine = _yes_or_no(attribute="is_machine")
    roles = fields.Function(
        lambda identity: sorted(identity.account.roles - {""}),
        dump_only=True,
        metadata={"type": "array", "items": {"type": "string"}},
    )
    privileges = _texts(attribute="account.privileges")
    integrations = fields.List(fields.Nested(IdentityIntegrationSchema), dump_only=True)
    tokens = _number()
    last_exchange_at = _instant(allow_none=True)
    last_call_at = _instant(allow_none=True)


class PeriodSchema(Schema):
    """The exchanges of an hour or a day; `would_refuse` is included in `accepted`."""

    starts_at = _instant()
    accepted = _number()
    refused = _number()
    would_refuse = _number()


class ReasonSchema(Schema):
    """A reason of refusals, with their number."""

    reason = fields.Function(lambda pair: pair[0], dump_only=True, metadata={"type": "string"})
    exchanges = fields.Function(lambda pair: pair[1], dump_only=True, metadata={"type": "integer"})


class HistorySchema(Schema):
    """Consecutive periods, the current one last, and the most frequent reasons of refusals."""

    periods = fields.List(fields.Nested(PeriodSchema), dump_only=True)
    reasons = fields.List(fields.Nested(ReasonSchema), dump_only=True)


class AuthenticationMethodSchema(Schema):
    """A method of requesting tokens: `active_integrations` may use it, `tokens` were issued in the last 7 days.

    Clients authenticate by a `secret` or by a signed assertion (`private_key_jwt`); `public` clients do not
    authenticate, and an ID token has no client.
    """

    method = _text(validate=validate.OneOf(METHODS))
    client_authentication = _text(allow_none=True, validate=validate.OneOf(CLIENT_AUTHENTICATIONS))
    active_integrations = _number()
    tokens = _number()


class OverviewSchema(Schema):
    """The figures of the overview; those of tokens cover the last 7 days. `not_recorded` lists figures without data."""

    integrations = _number()
    active_integrations = _number()
    machine_accounts = _number()
    privileged_machine_accounts = _number()
    score = fields.Integer(attribute="assessment.score", dump_only=True)
    findings = fields.Nested(CountsSchema, attribute="assessment.counts", dump_only=True)
    tokens = _number()
    authentication_methods = fields.List(fields.Nested(AuthenticationMethodSchema), dump_only=True)
    tokens_by_algorithm = fields.Dict(keys=fields.String(), values=fields.Integer(), dump_only=True)
    not_recorded = _texts()
    identities = fields.List(fields.Nested(MachineIdentitySchema), dump_only=True)
    hours = fields.Nested(HistorySchema, dump_only=True)
    days = fields.Nested(HistorySchema, dump_only=True)
