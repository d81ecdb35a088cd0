"""The parameters of a token request (RFC 6749 §3.2, RFC 7523 §2.1)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

ASCII_SPACE = " \t\r\n\f\v"


class TokenRequestSchema(Schema):
    """A token request; unknown parameters are ignored, and an empty one is the same as none."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    grant_type = fields.String(load_default=None)
    client_id = fields.String(load_default=None, validate=validate.Length(max=255))
    client_secret = fields.String(load_default=None, validate=validate.Length(max=4096))
    assertion = fields.String(load_default=None)
    scope = fields.String(load_default=None, validate=validate.Length(max=4096))
    client_assertion = fields.String(load_default=None)
    client_assertion_type = fields.String(load_default=None)

    @post_load
    def tidy(self, data: dict[str, Any], **_kwargs: Any) -> Mapping[str, Any]:
        """Trim what is pasted with line breaks from documentation, never the secret (oauth_jwt.md §2.4)."""
        for name in ("grant_type", "client_id", "assertion"):
            if data[name] is not None:
                data[name] = data[name].strip(ASCII_SPACE)
        return {name: value or None for name, value in data.items()}
