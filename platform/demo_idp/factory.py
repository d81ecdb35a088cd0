"""The application factory of the demo identity provider."""

from collections.abc import Callable
from datetime import datetime

from flask import Flask

from demo_idp import views
from demo_idp.errors import register_errors
from demo_idp.provider import IdentityProvider, utc_now

MAX_BODY_BYTES = 64 * 1024


def create_app(*, base_url: str, now: Callable[[], datetime] = utc_now) -> Flask:
    """Return the provider's WSGI application.

    `base_url`, without a final slash, becomes the issuer; `now` returns an aware datetime. The private keys are only in
    the memory of this process.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions["identity_provider"] = IdentityProvider(base_url.rstrip("/"), now)
    register_errors(app)
    app.register_blueprint(views.bp)
    return app
