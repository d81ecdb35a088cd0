"""Settings, and the only access to the environment.

A setting comes from the environment (`CHANGEGATE_<NAME>`), otherwise from `config.py` in the instance folder (same
names), otherwise from the default in `Settings`. An invalid value stops the start with an error message.
"""

import contextlib
import ipaddress
import os
import re
import runpy
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from changegate.instance_files import make_private_folder

PREFIX = "CHANGEGATE_"
INSTANCE_PATH_VARIABLE = f"{PREFIX}INSTANCE_PATH"
DATABASE_FILE = "changegate.db"
KEY_FILE = "secret_key"
DATABASES = frozenset({"sqlite", "postgresql"})
COUNTER_STORES = frozenset({"memory", "redis", "rediss", "valkey", "valkeys"})
# A label of the host may be a star, except the last two, which are the registered domain.
_ORIGIN = re.compile(r"https?://(?:\*\.[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingInvalid(Exception):
    """A setting has an invalid value; the message is a sentence."""


MOST_THREADS = 256
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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; durations are `timedelta` here, and whole seconds in the environment, except for days.

    With 0 retention days, rows are kept for ever.
    """

    database_url: str
    secret_key: str
    base_url: str = "http://127.0.0.1:8080"
    admin_password: str | None = None
    jwks_allow_loopback: bool = False
    jwks_allowed_networks: tuple[Network, ...] = ()
    jwks_refetch_cooldown: timedelta = timedelta(seconds=30)
    jwks_stale_if_error: timedelta = LONGEST_STALE
    ratelimit_enabled: bool = True
    ratelimit_storage_url: str = "memory://"
    trusted_proxies: int = 0
    open_bodies_per_address: int = 100
    choice_allow_non_existing_value: bool = False
    invalid_query_returns_no_rows: bool = False
    negation_includes_empty: bool = False
    refuse_unknown_fields: bool = False
    change_api_list_meta: bool = False
    blank_requests: bool = False
    attachment_max_bytes: int = 100 * 1024 * 1024
    cors_origins: tuple[str, ...] = ()
    password_grant_enabled: bool = False
    review_deadline: timedelta = timedelta(days=5)
    drain_time: timedelta = timedelta(0)
    event_retention_days: int = 30
    report_retention_days: int = 30
    audit_retention_days: int = 0
    attachment_retention_days: int = 0
    threads: int = 4
    smtp_url: SmtpServer | None = None
    smtp_timeout: int = 20
    mail_from: str | None = None


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
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("give a whole number, 0 or more")
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
        raise ValueError(f"give a number of days up to {MOST_DAYS}, or 0 for ever")
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
        backend = make_url(value).get_backend_name()
    except (ArgumentError, ValueError):
        backend = ""
    if backend not in DATABASES:
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


def _secret_key(value: str) -> str:
    if len(value) < 32:
        raise ValueError("use at least 32 characters")
    return value


def _password(value: str) -> str:
    if len(value) < 8:
        raise ValueError("use at least 8 characters")
    return value


PARSERS: Mapping[str, Callable[[str], object]] = {
    "database_url": _database_url,
    "secret_key": _secret_key,
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


MAY_HOLD_SECRETS = frozenset({"secret_key", "admin_password", "database_url", "ratelimit_storage_url", "smtp_url"})


def default_instance_path(root: Path | None = None) -> Path:
    """Return `CHANGEGATE_INSTANCE_PATH`, otherwise `instance` in `root` or in the working directory."""
    return Path(os.environ.get(INSTANCE_PATH_VARIABLE) or (root or Path()) / "instance").resolve()


def load_settings(instance_path: Path, overrides: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of an instance folder; create the folder and its secret key if they are missing.

    `overrides` maps setting names to text and takes precedence over the environment. Raises `SettingInvalid`.
    """
    try:
        make_private_folder(instance_path)
    except OSError as problem:
        raise SettingInvalid(f"The instance folder {instance_path} cannot be made: {problem.strerror}.") from None
    texts = _texts_from_file(instance_path / "config.py")
    texts |= {name: os.environ[PREFIX + name.upper()] for name in PARSERS if PREFIX + name.upper() in os.environ}
    texts |= overrides or {}
    # An empty text stands for the default, so that an environment can reset a value of `config.py`.
    values: dict[str, Any] = {name: _parse(name, text.strip()) for name, text in texts.items() if text.strip()}
    values.setdefault("database_url", f"sqlite:///{instance_path / DATABASE_FILE}")
    if "secret_key" not in values:
        values["secret_key"] = _kept_secret_key(instance_path / KEY_FILE)
    if "smtp_url" in values and "mail_from" not in values:
        raise SettingInvalid(f"With {PREFIX}SMTP_URL, set {PREFIX}MAIL_FROM to the address that mail is sent from.")
    return Settings(**values)


def _parse(name: str, text: str) -> object:
    try:
        return PARSERS[name](text)
    except ValueError as problem:
        shown = "" if name in MAY_HOLD_SECRETS else f" {text!r}"
        raise SettingInvalid(f"The setting {PREFIX}{name.upper()} cannot be{shown}: {problem}.") from None


def _texts_from_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        module = runpy.run_path(str(path))
    except Exception as problem:
        raise SettingInvalid(f"{path} cannot be read: {type(problem).__name__}: {problem}.") from None
    values = {key.removeprefix(PREFIX).lower(): str(value) for key, value in module.items() if key.startswith(PREFIX)}
    # A misspelled name must stop the start. Otherwise, the default would apply unnoticed, even if the setting is a
    # restriction.
    unknown = sorted(values.keys() - PARSERS.keys())
    if unknown:
        raise SettingInvalid(f"{path} sets {PREFIX}{unknown[0].upper()}, which is not a setting.")
    return values


def _kept_secret_key(path: Path) -> str:
    """Return the secret key of the instance, which is generated once."""
    if not path.exists():
        _write_private_file_once(path, secrets.token_urlsafe(48))
    try:
        # Never replace an unreadable key: sessions would end, and sealed secrets could not be opened again.
        return _secret_key(path.read_text().strip())
    except (OSError, ValueError):
        raise SettingInvalid(f"{path} holds no secret key of 32 characters or more.") from None


def _write_private_file_once(path: Path, text: str) -> None:
    """Create `path` atomically: of several processes starting at once, one succeeds, and all read its file."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    # link() fails if the file exists. A rename would replace the key that another process already uses.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)
