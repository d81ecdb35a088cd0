"""Settings, and the only access to the environment.

A setting comes from the environment (`CHANGEGATE_<NAME>`), otherwise from `config.py` in the instance folder (same
names), otherwise from the default in `Settings`. An invalid value stops the start with an error message.
"""

import contextlib
import os
import runpy
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from changegate.instance_files import make_private_folder
from changegate.setting_parsers import LONGEST_STALE, PARSERS, Network, SmtpServer, parse_secret_key

PREFIX = "CHANGEGATE_"
INSTANCE_PATH_VARIABLE = f"{PREFIX}INSTANCE_PATH"
DATABASE_FILE = "changegate.db"
KEY_FILE = "secret_key"
# For the resolver of the GNU C library: a second for each DNS server, twice.
LOOKUP_LIMITS = "timeout:1 attempts:2"
MAY_HOLD_SECRETS = frozenset({"secret_key", "admin_password", "database_url", "ratelimit_storage_url", "smtp_url"})


class SettingInvalid(Exception):
    """A setting has an invalid value; the message is a sentence."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; durations are `timedelta` here, and whole seconds in the environment, except for days.

    With 0 retention days, rows are kept forever.
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


def default_instance_path(root: Path | None = None) -> Path:
    """Return `CHANGEGATE_INSTANCE_PATH`, otherwise `instance` in `root` or in the working directory."""
    return Path(os.environ.get(INSTANCE_PATH_VARIABLE) or (root or Path()) / "instance").resolve()


def load_settings(instance_path: Path, overrides: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of an instance folder; create the folder and its secret key if they are missing.

    `overrides` maps setting names to text and takes precedence over the environment. Raises `SettingInvalid`.
    """
    # Lookups of names take no deadline from their callers, and would wait for silent DNS servers for up to a minute.
    os.environ.setdefault("RES_OPTIONS", LOOKUP_LIMITS)
    try:
        make_private_folder(instance_path)
    except OSError as problem:
        raise SettingInvalid(f"The instance folder {instance_path} cannot be made: {problem.strerror}.") from None
    texts = _texts_from_file(instance_path / "config.py")
    texts |= {name: os.environ[PREFIX + name.upper()] for name in PARSERS if PREFIX + name.upper() in os.environ}
    texts |= overrides or {}
    # An empty text stands for the default, so that an environment can reset a value of `config.py`.
    values: dict[str, Any] = {name: _parse(name, text.strip()) for name, text in texts.items() if text.strip()}
    values.setdefault("database_url", str(URL.create("sqlite", database=str(instance_path / DATABASE_FILE))))
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
        try:
            _write_private_file_once(path, secrets.token_urlsafe(48))
        except OSError as problem:
            raise SettingInvalid(f"{path} cannot be written: {problem.strerror}.") from None
    try:
        # Never replace an unreadable key: sessions would end, and sealed secrets could not be opened again.
        return parse_secret_key(path.read_text().strip())
    except (OSError, ValueError):
        raise SettingInvalid(f"{path} holds no secret key of 32 characters or more.") from None


def _write_private_file_once(path: Path, text: str) -> None:
    """Create `path` atomically: of several processes starting at once, one succeeds, and all read its file."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # its mode is 0600
        draft.write(text)
        draft.flush()
        # After a power failure, the database may have secrets that were sealed with this key.
        os.fsync(draft.fileno())
        # link() fails if the file exists. A rename would replace the key that another process already uses.
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
