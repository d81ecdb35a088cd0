"""Schemas of requests."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from demo_idp.exchange import Client
from demo_idp.layouts import LAYOUTS, PLAIN
from demo_idp.orders import TokenOrder
from demo_idp.signing_key import ALGORITHMS

# Long enough to test verifiers with assertions that are valid too long, without overflowing numbers.
LIFETIME = validate.Range(min=1, max=10 * 366 * 24 * 60 * 60)


def require_audience(value: object) -> None:
    """Require a string or a list of strings (RFC 7519 §4.1.3)."""
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, str) for member in members):
        raise ValidationError("Must be a string or a list of strings.")


@dataclass(frozen=True, slots=True)
class Request:
    """A loaded request: the token to sign, the client that sends it if it names one, and whether it is sent."""

    order: TokenOrder
    client: Client | None
    send: bool


class SignSchema(Schema):
    """The body of `POST /sign`; loads to a Request. Omitted members are those of the layout."""

    layout = fields.String(load_default=PLAIN.name, validate=validate.OneOf(LAYOUTS))
    sub = fields.String(load_default=None)
    aud = fields.Raw(validate=require_audience)
    claims = fields.Dict(load_default=dict)
    lifetime_seconds = fields.Integer(strict=True, validate=LIFETIME)
    alg = fields.String(validate=validate.OneOf(ALGORITHMS))
    typ = fields.String(allow_none=True)
    kid = fields.String(allow_none=True)

    def __init__(self, audience: str | list[str]) -> None:
        super().__init__()
        self._audience = audience

    @post_load
    def make_request(self, data: dict[str, Any], **_: object) -> Request:
        """Return the loaded fields as a request."""
        seconds = data.get("lifetime_seconds")
        order = TokenOrder(
            layout=LAYOUTS[data["layout"]],
            audience=data.get("aud", self._audience),
            subject=data["sub"],
            claims=data["claims"],
            lifetime=None if seconds is None else timedelta(seconds=seconds),
            algorithm=data.get("alg"),
            header={name: data[name] for name in ("typ", "kid") if name in data},
        )
        client = Client(data["client_id"], data.get("client_secret", "")) if "client_id" in data else None
        return Request(order, client, data.get("send", False))


class SendSchema(SignSchema):
    """The body of `POST /send`: the token and the client that sends it."""

    client_id = fields.String()
    client_secret = fields.String()


class BehaviorSchema(SendSchema):
    """The body of `POST /behaviors/NAME`; the token is sent if `send` is true."""

    send = fields.Boolean()
