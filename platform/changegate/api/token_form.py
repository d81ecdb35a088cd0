"""Parsing of requests to the OAuth endpoints: the form body and the client's credentials.

See docs/reference/token-endpoint.md#requests and #client-authentication.
"""

from urllib.parse import parse_qsl

from changegate.api.whole_body import read_at_most
from changegate.oauth_errors import InvalidClient, InvalidRequest
from changegate.schemas.token_request import (
    ClientForm,
    TokenReferenceForm,
    TokenRequestForm,
    load_token_reference,
    load_token_request,
)
from changegate.services.oauth.client_assertions import ASSERTION_TYPE, find_named_client
from changegate.services.oauth.client_authentication import ClientCredentials
from changegate.unproxied import current_request

FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 64 * 1024
MAX_FORM_PARAMETERS = 50
TWO_PROOFS = "two different client authentications"
# Secrets in a URL end up in logs, so they are refused there.
SECRET_PARAMETERS = frozenset({"client_secret", "assertion", "client_assertion", "password", "code", "refresh_token"})


def read_parameters() -> TokenRequestForm:
    """Return the known parameters of a token request; raises `InvalidRequest`."""
    return load_token_request(read_form())


def read_reference() -> TokenReferenceForm:
    """Return the known parameters of a revocation or introspection request; raises `InvalidRequest`."""
    return load_token_reference(read_form())


def read_form() -> list[tuple[str, str]]:
    """Return the pairs of the form body in order; raises `InvalidRequest`."""
    sent = current_request()
    if sent.query_string and not SECRET_PARAMETERS.isdisjoint(sent.args):
        raise InvalidRequest("body_malformed", "secrets are not allowed in the query string")
    # Flask would accept multipart forms, and read any other body as an empty form.
    if sent.mimetype != FORM:
        raise InvalidRequest("body_malformed", f"the body must be {FORM}")
    body = read_at_most(MAX_BODY_BYTES)
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest("body_malformed", f"the body is over {MAX_BODY_BYTES} bytes")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidRequest("body_malformed", "the body is not UTF-8") from None
    except ValueError:
        raise InvalidRequest("body_malformed", f"more than {MAX_FORM_PARAMETERS} parameters") from None


def read_credentials(params: ClientForm) -> ClientCredentials:
    """Return the client's credentials from the body or the Basic header.

    Raises `InvalidClient` for a header that is not Basic, `InvalidRequest` for two different clients.
    """
    in_body = _read_body_credentials(params)
    sent = current_request()
    if "HTTP_AUTHORIZATION" not in sent.environ:
        return in_body
    basic = sent.authorization
    if basic is None or basic.type != "basic" or not basic.username:
        raise InvalidClient("client_secret_bad", "the Authorization header is not readable as Basic")
    if in_body.client_id not in (None, basic.username):
        raise InvalidRequest("body_malformed", "two different clients")
    if in_body.assertion is not None or in_body.secret not in (None, basic.password):
        raise InvalidRequest("body_malformed", TWO_PROOFS)
    # RFC 6749 §2.3.1: an empty secret counts as absent.
    return ClientCredentials(basic.username, basic.password or None, address=in_body.address)


def _read_body_credentials(params: ClientForm) -> ClientCredentials:
    assertion, address = params.client_assertion, current_request().remote_addr or ""
    if assertion is None and params.client_assertion_type is None:
        return ClientCredentials(params.client_id, params.client_secret, address=address)
    if assertion is None or params.client_assertion_type != ASSERTION_TYPE:
        detail = f"a client_assertion goes with the client_assertion_type {ASSERTION_TYPE}"
        raise InvalidClient("client_assertion_bad", detail)
    if params.client_secret is not None:
        raise InvalidRequest("body_malformed", TWO_PROOFS)
    return ClientCredentials(params.client_id or find_named_client(assertion), None, assertion, address=address)


def read_assertion_of_pysnc(credentials: ClientCredentials) -> str | None:
    """Return the assertion that PySNC sends in the header Authentication, if the client has a secret."""
    scheme, _, token = current_request().headers.get("Authentication", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" and credentials.secret else None
