"""The application factory: settings, extensions, and blueprints."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from changegate import api, console, models
from changegate.api.cors import answer_options
from changegate.api.errors import MACHINE_PREFIXES, register_error_envelopes
from changegate.api.method_override import MethodOverride
from changegate.api.query_string import PlainQueryString
from changegate.config import Settings, load_settings
from changegate.console.errors import render_error
from changegate.database import LimitedTime, LongRequests, TakingTurns, end_units_of_work, engine_options, guard_engine
from changegate.database.dialects import database_time
from changegate.extensions import csrf, db, limiter, login, migrate
from changegate.services import catalog, evidence, retention
from changegate.services.keys.jwks_fetch import FetchPolicy
from changegate.services.keys.key_store import KeyStore
from changegate.services.mail import sending

# A wheel contains the migrations inside the package; a checkout has them next to `platform/`.
MIGRATIONS = next(
    folder
    for folder in (Path(__file__).with_name("migrations"), Path(__file__).resolve().parents[2] / "migrations")
    if folder.is_dir()
)
MAX_REQUEST_BYTES = 10 * 1024 * 1024
KEY_STORE = "key_store"
LONG_REQUESTS = "long_requests"

__all__ = ["catalog", "create_app", "evidence", "models", "retention", "sending"]


class ConsoleSessions(SecureCookieSessionInterface):
    """Sessions for the console only: API calls neither read nor set cookies."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a console page; None otherwise, for which Flask creates a null session."""
        return None if request.path.startswith(MACHINE_PREFIXES) else super().open_session(app, request)


class Application(Flask):
    """A Flask application without coroutines and host routing, and with OPTIONS answered for every caller."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged: no view and no hook is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to a request, without host matching, which would slow down every request."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        return MapAdapter(
            self.url_map,
            server_name=environ.get("HTTP_HOST") or environ["SERVER_NAME"],
            script_name=request.root_path,
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=environ.get("QUERY_STRING"),
        )

    def make_default_options_response(self) -> Response:
        """Answer OPTIONS for URLs without a view for OPTIONS."""
        return answer_options()


def create_app(
    *, instance_path: Path | str, overrides: Mapping[str, str] | None = None, settings: Settings | None = None
) -> Flask:
    """Return the WSGI application for an instance folder.

    `overrides` maps setting names to text and takes precedence over the environment. With `settings`, no others are
    read. Raises `SettingInvalid`.
    """
    folder = Path(instance_path).resolve()
    settings = settings or load_settings(folder, overrides)
    app = Application("changegate", instance_path=str(folder), static_folder=None, static_url_path="/static")
    app.session_interface = ConsoleSessions()
    _configure(app, settings)
    _bind_extensions(app, settings)
    api.register(app)
    console.register(app)
    register_error_envelopes(app, otherwise=render_error)
    long_requests = app.extensions[LONG_REQUESTS] = LongRequests(settings.threads)
    served: Any = LimitedTime(PlainQueryString(MethodOverride(app.wsgi_app)), long_requests)
    if settings.database_url.startswith("sqlite") and settings.ratelimit_storage_url.startswith("memory:"):
        # Only with stores inside the process: while a request waits for another server, it would block its slot.
        served = TakingTurns(served)
    # Outermost, so that limits, events, and the app see the address of the client and not that of the proxy.
    if settings.trusted_proxies:
        served = ProxyFix(served, x_for=settings.trusted_proxies)
    app.wsgi_app = served  # type: ignore[method-assign]
    return app


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SETTINGS=settings,
        CLOCK=lambda: datetime.now(UTC),
        DATABASE_CLOCK=database_time,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        SESSION_COOKIE_NAME="changegate_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https:"),
        # Users leave forms open for hours. A token ends with its session.
        WTF_CSRF_TIME_LIMIT=None,
        # The console checks CSRF tokens itself, for writes only (`console/guards.py`).
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    app.url_map.strict_slashes = False


def _bind_extensions(app: Flask, settings: Settings) -> None:
    db.init_app(app)
    end_units_of_work(app)
    migrate.init_app(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    csrf.init_app(app)
    login.init_app(app)
    # Logins end with their sessions: the hook that it has just added, which sets its cookie, has nothing to do.
    app.after_request_funcs[None].pop()
    limiter.init_app(app, settings)
    policy = FetchPolicy(settings.jwks_allow_loopback, settings.jwks_allowed_networks)
    app.extensions[KEY_STORE] = KeyStore(
        policy, settings.jwks_refetch_cooldown, lambda: app.config["CLOCK"](), settings.jwks_stale_if_error
    )
    with app.app_context():
        guard_engine(db.engine)
