"""The parsers of settings: each returns the value of a text, or raises `ValueError` with what to do."""

import contextlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = frozenset({"pysqlite", "psycopg"})
COUNTER_STORES = frozenset({"memory", "redis", "rediss", "valkey", "valkeys"})
# A label of the host may be a star, except the last two, which are the registered domain.
_ORIGIN = re.compile(r"https?://(?:\*\.[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_THREADS = 256
MOST_DIGITS = 9
# A job that sends mail must end within its lease.
LONGEST_SMTP_TIMEOUT = 30
SMTP_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_ATOM, _LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}", r"[A-Za-z0-9-]{1,63}"
MAIL_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
# The longest time that an expired key set is used while its provider is unavailable.
LONGEST_STALE = timedelta(days=1)
# Pages and findings describe the last 30 days. No token or assertion lives for 15 days: tokens are found by the rows of
# their exchanges, and replays are detected by them.
LEAST_EVENT_DAYS, LEAST_REPORT_DAYS, MOST_DAYS = 30, 15, 36_500


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server; `scheme` is one of `SMTP_PORTS`."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def _flag(value: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if value.lower() not in words:
        raise ValueError("say 1 or 0")
    return words[value.lower()]


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ValueError("give a whole number, 0 or more")
    if len(value) > MOST_DIGITS:
        raise ValueError(f"give at most {MOST_DIGITS} digits")
    return int(value)


def _positive(value: str) -> int:
    if _count(value) == 0:
        raise ValueError("give a whole number, 1 or more")
    return int(value)


def _threads(value: str) -> int:
    if not 0 < (number := _count(value)) <= MOST_THREADS:
        raise ValueError(f"give a number from 1 to {MOST_THREADS}")
    return number


def _seconds(value: str) -> timedelta:
    return timedelta(seconds=_count(value))


def _seconds_of_a_day(value: str) -> timedelta:
    duration = _seconds(value)
    if duration > LONGEST_STALE:
        raise ValueError("give at most 86400 seconds, a day")
    return duration


def _days_from(least: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not least <= (days := _count(value)) <= MOST_DAYS:
            raise ValueError(f"give a number of days from {least} to {MOST_DAYS}")
        return days

    return parse


def _days_or_forever(value: str) -> int:
    if _count(value) > MOST_DAYS:
        raise ValueError(f"give a number of days up to {MOST_DAYS}, or 0 forever")
    return int(value)


def _networks(value: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(item.strip()) for item in value.split(",") if item.strip())


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    is_plain = not (parts.query or parts.fragment or parts.port == 0)  # reading the port checks it
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
        raise ValueError("give an address such as https://change.example.com")
    if not value.isascii():
        # Responses contain the address in headers as it is (`ApiResponse`).
        raise ValueError("give an international host name in its ASCII form, such as https://xn--nderung-4wa.example")
    return value.rstrip("/")


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
        driver = url.get_driver_name()
    except (ArgumentError, ValueError):
        driver = ""
    # Each process would have a database in memory of its own.
    if driver not in DRIVERS or (driver == "pysqlite" and url.database in {None, "", ":memory:"}):
        raise ValueError("give an address such as postgresql+psycopg://user:password@host/name")
    return value


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(item.strip().lower() for item in value.split(",") if item.strip())
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("give origins such as https://ops.example.com or https://*.example.com")
    return origins


def _counter_store(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in COUNTER_STORES or "://" not in value or parts.port == 0:  # reading the port checks it
        raise ValueError("give memory:// or an address such as redis://host:6379")
    return value


def _smtp_url(value: str) -> SmtpServer:
    parts = urlsplit(value)
    try:
        is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.port == 0)
    except ValueError:  # its message has the text after a colon, which may be a password
        is_plain = False
    if parts.scheme not in SMTP_PORTS or not parts.hostname or not is_plain or not value.isascii():
        raise ValueError("give an address such as smtp+starttls://user:password@mail.example.com:587")
    user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    if (user is None) != (password is None):
        raise ValueError("give a user and a password, or neither")
    if password is not None and parts.scheme == "smtp" and not _is_loopback(parts.hostname):
        raise ValueError("smtp:// would send the password unencrypted: use smtp+starttls:// or smtps://")
    return SmtpServer(parts.scheme, parts.hostname, parts.port or SMTP_PORTS[parts.scheme], user, password)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _smtp_timeout(value: str) -> int:
    if not 0 < (number := _count(value)) <= LONGEST_SMTP_TIMEOUT:
        raise ValueError(f"give a number of seconds from 1 to {LONGEST_SMTP_TIMEOUT}")
    return number


def _mail_from(value: str) -> str:
    _name, address = parseaddr(value)
    if not MAIL_ADDRESS.fullmatch(address) or not value.isprintable():
        raise ValueError("give an address such as changegate@example.com or Changegate <changegate@example.com>")
    return value


def parse_secret_key(value: str) -> str:
    """Return a secret key that is long enough."""
    if len(value) < 32:
        raise ValueError("use at least 32 characters")
    return value


def _password(value: str) -> str:
    if len(value) < 8:
        raise ValueError("use at least 8 characters")
    return value


PARSERS: Mapping[str, Callable[[str], object]] = {
    "database_url": _database_url,
    "secret_key": parse_secret_key,
    "base_url": _base_url,
    "admin_password": _password,
    "jwks_allow_loopback": _flag,
    "jwks_allowed_networks": _networks,
    "jwks_refetch_cooldown": _seconds,
    "jwks_stale_if_error": _seconds_of_a_day,
    "ratelimit_enabled": _flag,
    "ratelimit_storage_url": _counter_store,
    "trusted_proxies": _count,
    "open_bodies_per_address": _positive,
    "choice_allow_non_existing_value": _flag,
    "blank_requests": _flag,
    "invalid_query_returns_no_rows": _flag,
    "negation_includes_empty": _flag,
    "refuse_unknown_fields": _flag,
    "change_api_list_meta": _flag,
    "attachment_max_bytes": _count,
    "cors_origins": _origins,
    "password_grant_enabled": _flag,
    "review_deadline": _seconds,
    "drain_time": _seconds,
    "event_retention_days": _days_from(LEAST_EVENT_DAYS),
    "report_retention_days": _days_from(LEAST_REPORT_DAYS),
    "audit_retention_days": _days_or_forever,
    "attachment_retention_days": _days_or_forever,
    "threads": _threads,
    "smtp_url": _smtp_url,
    "smtp_timeout": _smtp_timeout,
    "mail_from": _mail_from,
}
