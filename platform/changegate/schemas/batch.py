"""The schemas of a batch and of the requests in it (docs/reference/other-apis.md#batch)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

MAX_URL = 1024 * 1024
URL_PREFIX = "/api/"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Identifier(fields.Field[str]):
    """A string or an integer, loaded as a string: clients send either, and expect a string in the response."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if isinstance(value, float) and value.is_integer():  # to JSON 1.0 is a whole number
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValidationError("A string or an integer is expected.")
        return str(value)


class BatchSchema(Schema):
    """A batch. Its requests are loaded one by one, so that each malformed request gets its own response."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    batch_request_id = Identifier(load_default="")
    rest_requests = fields.List(fields.Dict(), required=True)


class HeaderSchema(Schema):
    """One header."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    name = fields.String(required=True)
    value = fields.String(load_default="", allow_none=True)


class RestRequestSchema(Schema):
    """A request; `body` is base64, and `url` a path of this API with its query. Null means absent."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    method = fields.String(required=True)
    url = fields.String(required=True, validate=validate.Length(max=MAX_URL))
    headers = fields.List(fields.Nested(HeaderSchema), load_default=list, allow_none=True)
    body = fields.String(load_default="", allow_none=True)
    exclude_response_headers = fields.Boolean(load_default=False, allow_none=True)
