"""The extensions, unbound, and the short ways to what an application keeps in them."""

import logging
import math
import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network
from typing import cast

from flask import Flask, current_app
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import ConfigurationError, StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import Connection

from changegate.config import SettingInvalid, Settings
from changegate.database import Base, LeanSession, unit_of_work
from changegate.errors import RateLimited
from changegate.recent_failures import RecentFailures
from changegate.unproxied import behind

db = SQLAlchemy(model_class=Base, session_options={"class_": LeanSession})
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
bootstrap = Bootstrap5()


log = logging.getLogger(__name__)
FAILURES_PER_MINUTE = RateLimitItemPerMinute(20)
# Wrong passwords from one address, whatever the names: each costs a hash, and inventing names must not be free.
GUESSES_PER_MINUTE = RateLimitItemPerMinute(100)
ANY_NAME = "any name"
# Of IPv6, one customer holds this much at least (RFC 6177): each of its addresses would be a fresh start.
IPV6_PREFIX = 64


class FailureLimit:
    """Counts failed attempts by address and client, so that guessing ends and nobody locks another out.

    An address of IPv6 counts as the /64 network that it is in. Honest traffic is never counted and so has no limit.
    Counters live in memory, or in the Valkey or Redis that several nodes share; while that is away, each process
    counts for itself.
    """

    def init_app(self, app: Flask, found: Settings) -> None:
        """Give an application its counters."""
        url = found.ratelimit_storage_url
        own: Storage = RecentFailures()
        try:
            shared = own if url.startswith("memory:") else _open_store(url)
        except ConfigurationError:
            raise SettingInvalid(
                "The store of CHANGEGATE_RATELIMIT_STORAGE_URL needs a package; see limits' documentation."
            ) from None
        limiters = [MovingWindowRateLimiter(store) for store in (shared, own)]
        app.extensions["failure_limit"] = limiters if found.ratelimit_enabled else None

    def require_room(self, address: str, client: str, limit: RateLimitItem = FAILURES_PER_MINUTE) -> None:
        """Refuse a caller that has failed too often; raises `RateLimited`."""
        whence = _whence(address)
        seconds = self._ask(lambda counters: _seconds_to_wait(counters, limit, whence, client))
        if seconds:
            raise RateLimited(retry_after=seconds)

    def count(self, address: str, client: str, limit: RateLimitItem = FAILURES_PER_MINUTE) -> None:
        """Count one failure."""
        whence = _whence(address)
        self._ask(lambda counters: counters.hit(limit, whence, client))

    def require_room_to_guess(self, address: str, user_name: str) -> None:
        """Refuse a password before it is hashed: too many were wrong for this name, or from this address at all."""
        self.require_room(address, user_name)
        self.require_room(address, ANY_NAME, GUESSES_PER_MINUTE)

    def count_guess(self, address: str, user_name: str) -> None:
        """Count one wrong password."""
        self.count(address, user_name)
        self.count(address, ANY_NAME, GUESSES_PER_MINUTE)

    def _ask(self, question: Callable[[MovingWindowRateLimiter], int]) -> int:
        limiters = current_application().extensions["failure_limit"]
        if limiters is None:
            return 0
        shared, own = limiters
        try:
            return question(shared)
        except StorageError as problem:
            log.warning("the store of failures is away, this process counts for itself: %s", problem)
            return question(own)


def _open_store(url: str) -> Storage:
    return cast("Storage", storage_from_string(url, wrap_exceptions=True, socket_timeout=1, socket_connect_timeout=1))


def _whence(address: str) -> str:
    """Return what the failures of an address are counted as: itself, or for IPv6 its network."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), IPV6_PREFIX), strict=False))


def _seconds_to_wait(counters: MovingWindowRateLimiter, limit: RateLimitItem, whence: str, client: str) -> int:
    if counters.test(limit, whence, client):
        return 0
    reset_at = counters.get_window_stats(limit, whence, client).reset_time
    return max(1, math.ceil(reset_at - time.time()))


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


def connection() -> Connection:
    """Return the database connection of the unit of work, for Core statements."""
    return unit_of_work().connection()


def commit() -> None:
    """Commit the unit of work: what Core statements and the ORM have written."""
    unit_of_work().commit()


def rollback() -> None:
    """Take back what the unit of work has written since the last commit."""
    unit_of_work().rollback()
