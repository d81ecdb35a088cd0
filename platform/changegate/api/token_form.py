"""Read a token request: the form body and the client's credentials, and nothing else (oauth_jwt.md §3.1, §3.3)."""

from typing import Any

from flask import request
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from changegate.errors import InvalidClient, InvalidRequest
from changegate.schemas.token_request import TokenRequestSchema
from changegate.services.oauth.clients import ClientCredentials

FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 64 * 1024
MAX_PARAMETERS = 50
# Secrets in a URL end up in logs; they are refused rather than honoured.
SECRET_PARAMETERS = frozenset({"client_secret", "assertion", "client_assertion", "password", "code", "refresh_token"})
_schema = TokenRequestSchema()


def read_parameters() -> dict[str, Any]:
    """Return the known parameters of the form body, None where absent; raises `InvalidRequest`."""
    sent = _read_form()
    repeated = [name for name in _schema.fields if len(sent.get(name, ())) > 1]
    if repeated:
        raise InvalidRequest("param_duplicate", f"{repeated[0]} is given more than once")
    try:
        loaded: dict[str, Any] = _schema.load({name: values[0] for name, values in sent.items()})
    except ValidationError as problem:
        raise InvalidRequest("body_malformed", f"{', '.join(problem.messages_dict)} is too long") from None
    if loaded["client_assertion"] or loaded["client_assertion_type"]:
        raise InvalidClient("client_secret_bad", "client assertions are not offered")
    return loaded


def _read_form() -> dict[str, list[str]]:
    if not SECRET_PARAMETERS.isdisjoint(request.args):
        raise InvalidRequest("body_malformed", "a secret in the query string is refused")
    # Flask reads multipart forms too, and takes every other body for an empty form.
    if request.mimetype != FORM:
        raise InvalidRequest("body_malformed", f"the body must be {FORM}")
    _require_bearable_body()
    sent = dict(request.form.lists())
    if len(sent) > MAX_PARAMETERS:
        raise InvalidRequest("body_malformed", f"more than {MAX_PARAMETERS} parameters")
    return sent


def _require_bearable_body() -> None:
    # A body in chunks is cut off at the limit without a word: one byte more tells that it was over.
    request.max_content_length = MAX_BODY_BYTES + 1
    try:
        size = len(request.get_data())
    except RequestEntityTooLarge:
        size = MAX_BODY_BYTES + 1
    if size > MAX_BODY_BYTES:
        raise InvalidRequest("body_malformed", f"the body is over {MAX_BODY_BYTES} bytes")


def read_credentials(params: dict[str, Any]) -> ClientCredentials:
    """Return the client's credentials from the body or from Basic; two different ones are one too many.

    Raises `InvalidClient` for a header that is not Basic, `InvalidRequest` for two clients.
    """
    in_body = ClientCredentials(params["client_id"], params["client_secret"])
    if "Authorization" not in request.headers:
        return in_body
    basic = request.authorization
    if basic is None or basic.type != "basic" or not basic.username:
        raise InvalidClient("client_secret_bad", "the Authorization header is not readable as Basic")
    if in_body.client_id not in (None, basic.username):
        raise InvalidRequest("body_malformed", "two different clients")
    if in_body.secret not in (None, basic.password):
        raise InvalidRequest("body_malformed", "two different client authentications")
    # RFC 6749 §2.3.1: an empty secret is no secret.
    return ClientCredentials(basic.username, basic.password or None)


def read_assertion_of_pysnc(credentials: ClientCredentials) -> str | None:
    """Return the assertion that PySNC sends in a header called Authentication, from a client with a secret."""
    scheme, _, token = request.headers.get("Authentication", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" and credentials.secret else None
