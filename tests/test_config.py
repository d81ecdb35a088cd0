"""Settings: where they come from, and the sentences that stop a start."""

import errno
import ipaddress
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from changegate import create_app
from changegate.config import SettingInvalid, Settings, default_instance_path, load_settings
from changegate.extensions import db
from changegate.setting_parsers import PARSERS, SmtpServer

SECRET = "s" * 32


def settings_of(folder: Path, **texts: str) -> Settings:
    return load_settings(folder, texts)


@pytest.mark.parametrize("name", ["feature%2Fnew", "what?", "a b#c"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    app = create_app(instance_path=tmp_path / name)
    with app.app_context():
        assert db.engine.url.database == str(tmp_path / name / "changegate.db")


def test_a_fresh_instance_has_every_default(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "instance"
    settings = load_settings(folder)
    assert settings == Settings(database_url=f"sqlite:///{folder}/changegate.db", secret_key=settings.secret_key)
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.admin_password is None
    assert settings.jwks_allow_loopback is False
    assert settings.jwks_refetch_cooldown == timedelta(seconds=30)
    assert settings.ratelimit_enabled is True
    assert settings.trusted_proxies == 0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("database_url", "postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("database_url", "postgresql://u:p@h/d", "postgresql://u:p@h/d"),
        ("database_url", "sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("secret_key", SECRET, SECRET),
        ("base_url", "https://change.example.com/", "https://change.example.com"),
        ("base_url", "http://[::1]:8080", "http://[::1]:8080"),
        ("base_url", " https://x/desk ", "https://x/desk"),
        ("admin_password", "eight ch", "eight ch"),
        ("jwks_allow_loopback", "1", True),
        ("jwks_allow_loopback", "Yes", True),
        ("jwks_allow_loopback", "off", False),
        (
            "jwks_allowed_networks",
            "10.0.0.0/8, fd00::/8,",
            tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8"))),
        ),
        ("jwks_refetch_cooldown", "0", timedelta(0)),
        ("jwks_refetch_cooldown", "90", timedelta(seconds=90)),
        ("ratelimit_enabled", "false", False),
        ("ratelimit_storage_url", "redis://h:6379/1", "redis://h:6379/1"),
        ("trusted_proxies", "2", 2),
        ("threads", "256", 256),
        ("event_retention_days", "30", 30),
        ("report_retention_days", "15", 15),
        ("audit_retention_days", "0", 0),
        ("attachment_retention_days", "365", 365),
        (
            "cors_origins",
            " https://Ops.example.com , http://[::1]:3000,",
            ("https://ops.example.com", "http://[::1]:3000"),
        ),
        ("cors_origins", "https://*.example.com", ("https://*.example.com",)),
        ("smtp_timeout", "30", 30),
        ("mail_from", "Changegate <c@example.com>", "Changegate <c@example.com>"),
    ],
)
def test_reads_every_setting_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"CHANGEGATE_{name.upper()}", text)
    assert getattr(load_settings(tmp_path), name) == value


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", SmtpServer("smtp", "mail.example.com", 25)),
        ("smtp+starttls://u:p%40%3A@h", SmtpServer("smtp+starttls", "h", 587, "u", "p@:")),
        ("smtps://u:p@h:4650", SmtpServer("smtps", "h", 4650, "u", "p")),
        ("smtp://u:p@[::1]:2525", SmtpServer("smtp", "::1", 2525, "u", "p")),
        ("smtp://u:p@localhost", SmtpServer("smtp", "localhost", 25, "u", "p")),
    ],
)
def test_reads_the_address_of_a_mail_server(tmp_path: Path, url: str, server: SmtpServer) -> None:
    assert settings_of(tmp_path, smtp_url=url, mail_from="c@example.com").smtp_url == server
    with pytest.raises(SettingInvalid, match="set CHANGEGATE_MAIL_FROM"):
        settings_of(tmp_path, smtp_url=url)


def test_every_setting_has_a_parser() -> None:
    assert set(PARSERS) == set(Settings.__dataclass_fields__)


BAD_VALUES = [
    ("database_url", "nonsense", "give an address such as postgresql+psycopg://user:password@host/name"),
    ("database_url", "mysql://u:hidden@h/d", "give an address such as postgresql+psycopg://user:password@host/name"),
    ("database_url", "postgres://u:hidden@h:x/d", "give an address such as postgresql+psycopg"),
    ("database_url", "postgresql+asyncpg://u:hidden@h/d", "give an address such as postgresql+psycopg"),
    ("database_url", "sqlite://", "give an address such as postgresql+psycopg"),
    ("database_url", "sqlite:///:memory:", "give an address such as postgresql+psycopg"),
    ("secret_key", "hidden", "use at least 32 characters"),
    ("base_url", "change.example.com", "give an address such as https://change.example.com"),
    ("base_url", "ftp://x", "give an address such as https://change.example.com"),
    ("base_url", "https://x?a=1", "give an address such as https://change.example.com"),
    ("base_url", "https://änderung.example", "give an international host name in its ASCII form"),
    ("base_url", "https://x:99999", "Port out of range 0-65535"),
    ("base_url", "https://[x", "Invalid IPv6 URL"),
    ("admin_password", "hidden", "use at least 8 characters"),
    ("jwks_allow_loopback", "maybe", "say 1 or 0"),
    ("jwks_allowed_networks", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
    ("jwks_allowed_networks", "everywhere", "'everywhere' does not appear to be an IPv4 or IPv6 network"),
    ("jwks_refetch_cooldown", "-1", "give a whole number, 0 or more"),
    ("jwks_refetch_cooldown", "30s", "give a whole number, 0 or more"),
    ("ratelimit_enabled", "2", "say 1 or 0"),
    ("ratelimit_storage_url", "redis:hidden", "give memory:// or an address such as redis://host:6379"),
    ("ratelimit_storage_url", "file://hidden", "give memory:// or an address such as redis://host:6379"),
    ("ratelimit_storage_url", "redis://:hidden@h:x", "Port could not be cast to integer value as 'x'"),
    ("trusted_proxies", "\u0663", "give a whole number, 0 or more"),
    ("trusted_proxies", "9" * 10, "give at most 9 digits"),
    ("event_retention_days", "29", "give a number of days from 30 to 36500"),
    ("report_retention_days", "14", "give a number of days from 15 to 36500"),
    ("audit_retention_days", "36501", "give a number of days up to 36500, or 0 forever"),
    ("attachment_retention_days", "-1", "give a whole number, 0 or more"),
    ("threads", "0", "give a number from 1 to 256"),
    ("threads", "257", "give a number from 1 to 256"),
    ("cors_origins", "*", "give origins such as"),
    ("cors_origins", "https://*", "give origins such as"),
    ("cors_origins", "https://*.com", "give origins such as"),
    ("cors_origins", "https://a.*.com", "give origins such as"),
    ("cors_origins", "https://*.*.example.com", "give origins such as"),
    ("cors_origins", "https://ops.example.com/", "give origins such as"),
    ("cors_origins", "ops.example.com", "give origins such as"),
    ("cors_origins", "null", "give origins such as"),
    ("smtp_url", "mail.example.com", "give an address such as smtp+starttls://"),
    ("smtp_url", "imap://h", "give an address such as smtp+starttls://"),
    ("smtp_url", "smtps://u:hidden", "give an address such as smtp+starttls://"),
    ("smtp_url", "smtps://u:hidden@h/path", "give an address such as smtp+starttls://"),
    ("smtp_url", "smtps://hidden@h", "give a user and a password, or neither"),
    ("smtp_url", "smtp://u:hidden@mail.example.com", "smtp:// would send the password unencrypted"),
    ("smtp_timeout", "31", "give a number of seconds from 1 to 30"),
    ("smtp_timeout", "0", "give a number of seconds from 1 to 30"),
    ("mail_from", "Changegate", "give an address such as changegate@example.com"),
    ("mail_from", "a@x.com\nBcc: b@x.com", "give an address such as changegate@example.com"),
]


@pytest.mark.parametrize(("name", "text", "sentence"), BAD_VALUES)
def test_a_bad_value_stops_the_start_with_a_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingInvalid) as refused:
        settings_of(tmp_path, **{name: text})
    message = str(refused.value)
    assert message.startswith(f"The setting CHANGEGATE_{name.upper()} cannot be")
    assert sentence in message
    assert message.endswith(".")
    assert "hidden" not in message


def test_the_environment_wins_over_the_file_and_overrides_win_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.py"
    file.write_text("CHANGEGATE_TRUSTED_PROXIES = 1\nCHANGEGATE_JWKS_ALLOW_LOOPBACK = True\nother = 3\n")
    assert load_settings(tmp_path).trusted_proxies == 1
    assert load_settings(tmp_path).jwks_allow_loopback is True
    monkeypatch.setenv("CHANGEGATE_TRUSTED_PROXIES", "2")
    assert load_settings(tmp_path).trusted_proxies == 2
    assert settings_of(tmp_path, trusted_proxies="3").trusted_proxies == 3


def test_an_empty_value_is_an_absent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PARSERS:
        monkeypatch.setenv(f"CHANGEGATE_{name.upper()}", " ")
    assert load_settings(tmp_path).base_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("CHANGEGATE_NONSENSE = 1", "sets CHANGEGATE_NONSENSE, which is not a setting."),
        ("this is no Python", "cannot be read: SyntaxError: "),
        ("1 / 0", "cannot be read: ZeroDivisionError: "),
    ],
)
def test_a_bad_file_stops_the_start_with_a_sentence(tmp_path: Path, source: str, sentence: str) -> None:
    (tmp_path / "config.py").write_text(source)
    with pytest.raises(SettingInvalid) as refused:
        load_settings(tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "config.py"))
    assert sentence in str(refused.value)


def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = load_settings(tmp_path).secret_key
    assert len(first) >= 32
    assert load_settings(tmp_path).secret_key == first
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    assert load_settings(tmp_path / "other").secret_key != first


def test_a_full_disk_stops_the_first_start_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SettingInvalid) as refused:
        load_settings(tmp_path)
    assert str(refused.value) == f"{tmp_path}/secret_key cannot be written: No space left on device."
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_damaged_secret_key_stops_the_start_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)
    with pytest.raises(SettingInvalid) as refused:
        load_settings(tmp_path)
    assert str(refused.value) == f"{tmp_path}/secret_key holds no secret key of 32 characters or more."


def test_an_instance_folder_that_cannot_be_made_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "instance"):
        with pytest.raises(SettingInvalid, match=f"The instance folder {folder} cannot be made: "):
            load_settings(folder)


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = "import pathlib, sys; from changegate.config import load_settings; " + (
        "sys.stdout.write(load_settings(pathlib.Path(sys.argv[1])).secret_key)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]

    def start(_number: int) -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(start, range(4)))
    assert keys == {(tmp_path / "secret_key").read_text()}
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_the_instance_path_is_the_variable_s_else_the_folder_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEGATE_INSTANCE_PATH", str(tmp_path / "x" / ".." / "y"))
    assert default_instance_path() == tmp_path / "y"
    monkeypatch.delenv("CHANGEGATE_INSTANCE_PATH")
    assert default_instance_path(tmp_path) == tmp_path / "instance"
    monkeypatch.chdir(tmp_path)
    assert default_instance_path() == tmp_path / "instance"


def test_nothing_that_serves_reads_the_environment() -> None:
    package = Path(sys.modules["changegate"].__file__ or "").parent
    readers = {path.relative_to(package) for path in package.rglob("*.py") if "os.environ" in path.read_text()}
    # The command line hands settings on to the processes that it starts.
    assert {path for path in readers if path.parts[0] != "cli"} == {Path("config.py")}


def test_lookups_of_names_are_limited_unless_the_environment_limits_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    load_settings(tmp_path)
    assert os.environ["RES_OPTIONS"] == "timeout:1 attempts:2"
    monkeypatch.setenv("RES_OPTIONS", "timeout:3")
    load_settings(tmp_path)
    assert os.environ["RES_OPTIONS"] == "timeout:3"


def test_a_counter_store_whose_package_is_missing_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="CHANGEGATE_RATELIMIT_STORAGE_URL needs a package"):
        create_app(instance_path=tmp_path, overrides={"ratelimit_storage_url": "valkey://127.0.0.1:1"})


def test_the_application_is_made_on_the_folder_that_is_named(tmp_path: Path) -> None:
    app = create_app(instance_path=tmp_path / "here")
    assert app.instance_path == str(tmp_path / "here")
    assert os.path.exists(tmp_path / "here" / "secret_key")
