"""Schemas of requests."""

from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from demo_idp.provider import AssertionOrder, Misbehavior
from demo_idp.signing_key import ALGORITHMS

# Long enough to test verifiers with assertions that are valid too long, without overflowing numbers.
LIFETIME = validate.Range(min=1, max=10 * 366 * 24 * 60 * 60)


def require_audience(value: object) -> None:
    """Require a string or a list of strings (RFC 7519 §4.1.3)."""
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, str) for member in members):
        raise ValidationError("Must be a string or a list of strings.")


class SignSchema(Schema):
    """The body of `POST /sign`; loads to an AssertionOrder."""

    sub = fields.String(required=True)
    aud = fields.Raw(required=True, validate=require_audience)
    claims = fields.Dict(load_default=dict)
    lifetime_seconds = fields.Integer(load_default=300, strict=True, validate=LIFETIME)
    alg = fields.String(load_default="RS256", validate=validate.OneOf(ALGORITHMS))
    typ = fields.String(allow_none=True)
    kid = fields.String(allow_none=True)

    @post_load
    def make_order(self, data: dict[str, Any], **_: object) -> AssertionOrder:
        """Return the loaded fields as an order."""
        return AssertionOrder(
            subject=data["sub"],
            audience=data["aud"],
            claims=data["claims"],
            lifetime=timedelta(seconds=data["lifetime_seconds"]),
            algorithm=data["alg"],
            header={name: data[name] for name in ("typ", "kid") if name in data},
        )


class RotateSchema(Schema):
    """The body of `POST /rotate`."""

    overlap = fields.Boolean(load_default=True)


class RetireSchema(Schema):
    """The body of `POST /retire`: an empty object."""


class MisbehaveSchema(Schema):
    """The body of `POST /misbehave`."""

    mode = fields.Enum(Misbehavior, by_value=True, required=True)
