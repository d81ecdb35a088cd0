"""`changegate user`: create and list users, set passwords and time zones, restore an administrator."""

import json
from typing import Any

import click
from sqlalchemy import select

from changegate.cli.instance import opened_instance
from changegate.database import commit
from changegate.errors import ChangegateError, InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.users.accounts import caller_of, create_user, get_user, set_password, set_time_zone
from changegate.services.users.roles import restore_administrator

LEAST_PASSWORD_LENGTH = 8
_COLUMNS = SysUser.__table__.columns
LONGEST = {name: _COLUMNS[name].info["entry"].max_length for name in ("user_name", "name", "email")}
as_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON value to stdout.")


@click.group()
def user() -> None:
    """Manage users."""


@user.command()
@click.argument("user_name")
@click.option("--name", help="Full name; default: the user name.")
@click.option("--email")
@click.option("--password", help="Without a password, the user cannot sign in but can be a run-as account.")
@click.option("--role", "roles", multiple=True, help="May be repeated.")
@click.option(
    "--time-zone", metavar="NAME", help="Time zone of displayed and entered times, such as Europe/Berlin; default: UTC."
)
@as_json
def create(
    user_name: str,
    name: str | None,
    email: str | None,
    password: str | None,
    roles: tuple[str, ...],
    time_zone: str | None,
    as_json: bool,
) -> None:
    """Create a user."""
    _require_fields(user_name=user_name, name=name or user_name, email=email or "")
    if password is not None:
        _require_length(password)
    with opened_instance():
        made = create_user(user_name=user_name, name=name, email=email, password=password, roles=list(roles))
        set_time_zone(made, time_zone)
        commit()
        click.echo(
            json.dumps({"sys_id": made.sys_id, "user_name": made.user_name})
            if as_json
            else f"Created user {user_name}."
        )


@user.command("set-password")
@click.argument("user_name")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def change_password(user_name: str, password: str) -> None:
    """Give a user a new password; the old one stops working at the next request."""
    _require_length(password)
    with opened_instance():
        set_password(_get_user(user_name), password)
        commit()
    click.echo(f"The password of {user_name} is set.")


@user.command("set-time-zone")
@click.argument("user_name")
@click.argument("time_zone", default="")
def change_time_zone(user_name: str, time_zone: str) -> None:
    """Set the time zone of a user's displayed and entered times; without a name, UTC."""
    with opened_instance():
        user = _get_user(user_name)
        set_time_zone(user, time_zone)
        commit()
        click.echo(f"The time zone of {user_name} is {user.time_zone or 'UTC'}.")


@user.command("restore-admin")
@click.argument("user_name")
def make_administrator(user_name: str) -> None:
    """Activate and unlock a user and give them the role admin; repairs an instance without an administrator."""
    with opened_instance():
        account = _get_user(user_name)
        restore_administrator(account)
        commit()
        has_password = bool(account.user_password)
    click.echo(f"{user_name} is active and unlocked, and has the role admin.")
    if not has_password:
        click.echo(f"{user_name} has no password yet; run `changegate user set-password {user_name}`.")


@user.command("list")
@as_json
def show_all(as_json: bool) -> None:
    """List users."""
    with opened_instance():
        users = db.session.execute(select(SysUser).order_by(SysUser.user_name)).scalars().all()
        rows: list[dict[str, Any]] = [
            {
                "user_name": user.user_name,
                "name": user.name,
                "active": user.is_active,
                "roles": sorted(caller_of(user).roles),
            }
            for user in users
        ]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        state = "active" if row["active"] else "inactive"
        click.echo(f"{row['user_name']:<24} {state:<9} {', '.join(row['roles'])}")


def _get_user(user_name: str) -> SysUser:
    try:
        return get_user(user_name)
    except RecordNotFound:
        raise ChangegateError(f"There is no user {user_name}.") from None


def _require_fields(**texts: str) -> None:
    """Refuse text that a column or a Basic header cannot contain."""
    for name, text in texts.items():
        if not text.isprintable() or len(text) > LONGEST[name]:
            raise InputInvalid({name: [f"Use at most {LONGEST[name]} printable characters."]})
    if ":" in texts["user_name"] or not texts["user_name"].strip():
        raise InputInvalid({"user_name": ["Use at least one character, and no colon."]})


def _require_length(password: str) -> None:
    if len(password) < LEAST_PASSWORD_LENGTH:
        raise InputInvalid({"password": [f"Use at least {LEAST_PASSWORD_LENGTH} characters."]})
