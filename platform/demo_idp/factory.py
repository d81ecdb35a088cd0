"""The application factory of the demo identity provider."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from flask import Flask

from demo_idp import page, sign_on, views
from demo_idp.errors import register_errors
from demo_idp.exchange import Changegate
from demo_idp.origins import refuse_foreign_hosts, refuse_foreign_origins
from demo_idp.provider import IdentityProvider, utc_now
from demo_idp.workbench import Workbench

MAX_BODY_BYTES = 64 * 1024
DEFAULT_CHANGEGATE = "http://127.0.0.1:8080"


def create_app(
    *,
    base_url: str,
    changegate: Changegate | None = None,
    audience: str | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Flask:
    """Return the provider's WSGI application.

    `base_url`, without a final slash, becomes the issuer. Tokens are sent to `changegate` and nowhere else; its URL is
    the default audience. `now` returns an aware datetime. The private keys are only in the memory of this process.
    """
    destination = changegate or Changegate(DEFAULT_CHANGEGATE)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    provider = IdentityProvider(base_url.rstrip("/"), now)
    app.extensions["workbench"] = Workbench(provider, destination, audience or destination.url)
    app.before_request(partial(refuse_foreign_hosts, urlsplit(base_url).hostname))
    app.before_request(refuse_foreign_origins)
    register_errors(app)
    app.register_blueprint(views.bp)
    app.register_blueprint(page.bp)
    app.register_blueprint(sign_on.bp)
    return app
