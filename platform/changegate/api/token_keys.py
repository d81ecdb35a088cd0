"""The key set with which resource servers verify Changegate's access tokens (RFC 7517 §5, RFC 9068 §4)."""

from flask import Blueprint, Response

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import public_response
from changegate.extensions import now
from changegate.services.oauth.token_keys import list_published

PATH = "/api/now/oauth/jwks"
# In seconds. A new key must be published for longer than this before it signs.
KEYS_MAX_AGE = 3600
bp = Blueprint("token_keys", __name__)
bp.before_request(allow_anyone)


@bp.get(PATH)
def key_set_view() -> Response:
    """Return the public keys, with Cache-Control and ETag."""
    return public_response({"keys": list_published(now())}, KEYS_MAX_AGE)
