"""Read a token request: the form body and the client's credentials, and nothing else (oauth_jwt.md §3.1, §3.3)."""

from urllib.parse import parse_qsl

from flask import request
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from changegate.errors import InvalidClient, InvalidRequest
from changegate.schemas.token_request import TokenRequestForm, load_token_request
from changegate.services.oauth.clients import ClientCredentials

FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 64 * 1024
MAX_PARAMETERS = 50
# Secrets in a URL end up in logs; they are refused rather than honoured.
SECRET_PARAMETERS = frozenset({"client_secret", "assertion", "client_assertion", "password", "code", "refresh_token"})


def read_parameters() -> TokenRequestForm:
    """Return the known parameters of the form body; raises `InvalidRequest`."""
    try:
        loaded = load_token_request(_read_form())
    except ValidationError as problem:
        [(name, [what])] = problem.messages_dict.items()
        reason = "param_duplicate" if what.startswith("given") else "body_malformed"
        raise InvalidRequest(reason, f"{name} is {what}") from None
    if loaded.client_assertion or loaded.client_assertion_type:
        raise InvalidClient("client_secret_bad", "client assertions are not offered")
    return loaded


def _read_form() -> list[tuple[str, str]]:
    if request.query_string and not SECRET_PARAMETERS.isdisjoint(request.args):
        raise InvalidRequest("body_malformed", "a secret in the query string is refused")
    # Flask reads multipart forms too, and takes every other body for an empty form.
    if request.mimetype != FORM:
        raise InvalidRequest("body_malformed", f"the body must be {FORM}")
    body = _read_bearable_body()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidRequest("body_malformed", "the body is not UTF-8") from None
    except ValueError:
        raise InvalidRequest("body_malformed", f"more than {MAX_PARAMETERS} parameters") from None


def _read_bearable_body() -> bytes:
    # A body in chunks is cut off at the limit without a word: one byte more tells that it was over.
    request.max_content_length = MAX_BODY_BYTES + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = b"\0" * (MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest("body_malformed", f"the body is over {MAX_BODY_BYTES} bytes")
    return body


def read_credentials(params: TokenRequestForm) -> ClientCredentials:
    """Return the client's credentials from the body or from Basic; two different ones are one too many.

    Raises `InvalidClient` for a header that is not Basic, `InvalidRequest` for two clients.
    """
    in_body = ClientCredentials(params.client_id, params.client_secret)
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
