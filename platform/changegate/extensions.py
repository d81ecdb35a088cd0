"""The extensions, unbound, and the short ways to what an application keeps in them."""

from datetime import datetime

from flask import current_app
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from changegate.config import Settings
from changegate.database import Base, LeanSession
from changegate.failure_limit import FailureLimit
from changegate.unproxied import behind

db = SQLAlchemy(model_class=Base, session_options={"class_": LeanSession})
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
bootstrap = Bootstrap5()
limiter = FailureLimit()


current_application = behind(current_app)


def settings() -> Settings:
    """Return the settings of the application at work."""
    found: Settings = current_application().config["SETTINGS"]
    return found


def now() -> datetime:
    """Return the present instant, aware UTC, by the application's clock; tests set it, nothing else does."""
    instant: datetime = current_application().config["CLOCK"]()
    return instant
