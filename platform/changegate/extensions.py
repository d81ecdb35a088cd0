"""The Flask extensions, and accessors of the current application's settings and clock."""

from datetime import datetime

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from changegate.config import Settings
from changegate.database import Base, LeanSession
from changegate.failure_limit import FailureLimit
from changegate.unproxied import current_application

db = SQLAlchemy(model_class=Base, session_options={"class_": LeanSession})
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
limiter = FailureLimit()

OPENAPI_DOCUMENT = "openapi_document"  # the key of app.extensions for the function that loads the document
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 §9.2.1, without TRACE


def settings() -> Settings:
    """Return the settings of the current application."""
    current: Settings = current_application().config["SETTINGS"]
    return current


def now() -> datetime:
    """Return the current time in aware UTC from the application's clock, which only tests replace."""
    instant: datetime = current_application().config["CLOCK"]()
    return instant


def database_now() -> datetime:
    """Return the current time in aware UTC by the clock of the database, which all servers share."""
    instant: datetime = current_application().config["DATABASE_CLOCK"]()
    return instant
