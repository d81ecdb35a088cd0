"""The key set with which resource servers verify Changegate's access tokens (RFC 7517 §5, RFC 9068 §4)."""

import orjson
from flask import Blueprint, Response, request

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import JSON
from changegate.extensions import now
from changegate.services.oauth.token_keys import list_published

PATH = "/api/now/oauth/jwks"
# In seconds. A new key must be published for longer than this before it signs.
MAX_AGE = 3600
bp = Blueprint("token_keys", __name__)
bp.before_request(allow_anyone)


@bp.get(PATH)
def key_set_view() -> Response:
    """Return the public keys, with Cache-Control and ETag."""
    headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "X-Content-Type-Options": "nosniff"}
    response = Response(orjson.dumps({"keys": list_published(now())}), content_type=JSON, headers=headers)
    response.add_etag()
    response.make_conditional(request)
    return response
