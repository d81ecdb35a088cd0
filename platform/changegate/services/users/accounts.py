"""User accounts: passwords, authentication, and the rules of sys_user."""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, String, func, or_, select
from werkzeug.security import generate_password_hash

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid, NotAuthenticated, RecordNotFound, RequestUnreadable
from changegate.extensions import db, limiter
from changegate.failure_limit import Guess
from changegate.models import SysUser, SysUserHasRole, SysUserRole
from changegate.models.integration_choices import USER_FIELDS
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, expand_roles
from changegate.services.access.time_zones import find_time_zone, time_zone_names
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.values import MASK, is_storable, parse_value
from changegate.services.tables.writing.audit import require_never_deleted
from changegate.services.users.account_links import end_links
from changegate.services.users.asked import require_no_requester, require_unasked_user
from changegate.services.users.roles import refuse_tokens, require_administrator, roles_of_user
from changegate.services.users.sessions import end_sessions
from changegate.services.users.user_names import require_unclaimed
from changegate.services.users.verified_passwords import VerifiedPasswords

# Columns that the claims of an identity provider may be matched with, and those that identify people elsewhere.
MATCHED_COLUMNS = frozenset({*USER_FIELDS, "email_verified", "phone", "mobile_phone"} - {"sys_id"})
# Compared with the password if the user does not exist: otherwise, the response time would reveal which names exist.
# It has the form that `generate_password_hash` returns; computing it would delay the start of every process.
_NOBODYS_HASH = f"scrypt:32768:8:1${secrets.token_hex(8)}${secrets.token_hex(64)}"

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = SysUser.__table__.c["user_password"].info["entry"].max_length
LoginRow = Any  # a row of `_LOGIN`, by column name


class UserRules(Rules):
    """Rules of sys_user: passwords are stored as hashes, and names are composed of their parts.

    A user with a password can manage integrations, which an access token cannot. An access token therefore cannot set
    a password, or activate or unlock a user, whose old password may be known to others. It also cannot write the
    columns that identities are matched by: a token with a claim of the new value would act as that user.
    """

    def require_unused(self, sys_id: str) -> None:
        """Refuse the sys_id of a deleted user, whose tokens stay: those of a running exchange may yet be stored."""
        require_never_deleted("sys_user", sys_id)

    def before_create(self, values: Values, caller: Caller) -> None:
        """Hash the password, ignore the mask of one, and set the name if none was sent."""
        _hash_password(values, caller)
        _refuse_identity(values.keys(), caller)
        if not values.get("user_name"):
            raise InputInvalid({"user_name": ["A user needs a user ID."]})
        require_unclaimed(values["user_name"])
        parts = (values.get("first_name"), values.get("last_name"))
        _name_time_zone(values)
        values.setdefault("name", " ".join(part for part in parts if part) or values["user_name"])

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Hash a new password, and ignore the mask of the old one. A new email is not verified unless sent as such."""
        _hash_password(changes, caller)
        _name_time_zone(changes)
        # `email_verified` is also given if it is sent with its stored value.
        _refuse_identity({name for name, value in changes.items() if value != record[name]}, caller)
        if changes.get("user_name"):
            require_unclaimed(changes["user_name"], record["sys_id"])
        if "email" in changes:
            changes.setdefault("email_verified", False)
        if changes.get("active") is True or changes.get("locked_out") is False:
            refuse_tokens(caller, "An access token cannot activate or unlock a user")

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse to lock out the last administrator; end the sessions and links of a locked-out user and old password.

        A link that was sent to an old email ends too.
        """
        is_shut_out = changes.get("active") is False or changes.get("locked_out") is True
        is_limited = is_shut_out or changes.get("web_service_access_only") is True
        if is_limited or not changes.get("user_password", MASK):
            require_administrator()
        if is_limited or "user_password" in changes:
            end_sessions(record["sys_id"])
        if is_shut_out or changes.keys() & {"user_password", "email"}:
            end_links(record["sys_id"])

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a user who was asked for an approval, or whose change must not be approved by them."""
        require_unasked_user(record)
        require_no_requester(record)


def _name_time_zone(values: Values) -> None:
    """Replace the spelling of a time zone with that of IANA. Raises `InputInvalid` for an unknown one."""
    if values.get("time_zone"):
        values["time_zone"] = require_time_zone(values["time_zone"])


def require_time_zone(name: str) -> str:
    """Return the name of a time zone in the spelling of IANA. Raises `InputInvalid` for an unknown one."""
    known = time_zone_names().get(name.strip().lower())
    if known is None:
        message = f"There is no time zone {name[:100]!r}. Enter an IANA name, such as Europe/Berlin."
        raise InputInvalid({"time_zone": [message]})
    return known


def _hash_password(values: Values, caller: Caller) -> None:
    if values.get("user_password") == MASK:
        del values["user_password"]
    if "user_password" not in values:
        return
    refuse_tokens(caller, "An access token sets no password")
    if values["user_password"]:
        values["user_password"] = generate_password_hash(values["user_password"])


def _refuse_identity(fields: Collection[str], caller: Caller) -> None:
    if written := sorted(MATCHED_COLUMNS.intersection(fields)):
        refuse_tokens(caller, f"An access token does not write {written[-1]}, which identities are matched by")


def authenticate_user(user_name: str, password: str, address: str, *, is_interactive: bool = False) -> Caller:
    """Return the user with this name, in any case, and password.

    With `is_interactive`, a session begins: users who may use only web services are refused, and the transaction holds
    the user. Raises `RateLimited`, and `NotAuthenticated` with a reason that only administrators may see.
    """
    guess = limiter.require_room_to_guess(address, user_name)
    row: LoginRow
    row, is_right = try_password(guess, password)
    if is_interactive and is_right:
        # Until the commit, so that what ends the sessions of the user waits, and ends the new one, too.
        compared, row = row.user_password, _HELD.first({"user_name": guess.name})
        is_right = row is not None and row.user_password == compared
    if reason := _find_fault(row, is_right=is_right, is_interactive=is_interactive):
        limiter.count_guess(guess)
        raise NotAuthenticated(reason, row.user_name if row else None)
    permissions = Permissions(expand_roles(row.roles))
    return Caller(row.sys_id, row.user_name, permissions, time_zone=find_time_zone(row.time_zone))


def _find_fault(row: LoginRow | None, *, is_right: bool, is_interactive: bool) -> str | None:
    if row is None:
        return "user_unknown"
    if not is_right:
        return "password_wrong"
    if not row.active:
        return "user_inactive"
    if row.locked_out:
        return "user_locked"
    return "user_web_service_only" if is_interactive and row.web_service_access_only else None


def try_password(guess: Guess, password: str) -> tuple[LoginRow | None, bool]:
    """Return the user with a name, or None, and whether the password is right, without checking the user's status.

    The calling function must count the guess unless it accepts the user. A full password hash is computed once for each
    process and stored hash instead of once for each request, and also for a name that does not exist.
    """
    if not is_storable(guess.name) or not _is_encodable(password):
        return None, False
    row = _LOGIN.first({"user_name": guess.name})
    stored = (row.user_password if row else None) or _NOBODYS_HASH
    is_right = _verified_passwords.is_right(guess, stored, password)
    return row, is_right and row is not None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form that could be hashed
        return False
    return True


def caller_of(user: SysUser) -> Caller:
    """Return the `Caller` for a signed-in user."""
    roles = db.session.execute(select(roles_of_user()).where(SysUser.sys_id == user.sys_id)).scalar_one()
    permissions = Permissions(expand_roles(roles))
    return Caller(user.sys_id, user.user_name, permissions, time_zone=find_time_zone(user.time_zone))


def get_user(user_name: str) -> SysUser:
    """Return a user by name, in any case. Raises `RecordNotFound`."""
    user = find_user(user_name)
    if user is None:
        raise RecordNotFound
    return user


def find_user(user_name: str) -> SysUser | None:
    """Return a user by name, in any case, or None."""
    return db.session.execute(select(SysUser).where(_is_called(user_name))).scalar_one_or_none()


def create_user(
    *, user_name: str, password: str | None, email: str | None, name: str | None, roles: list[str]
) -> SysUser:
    """Add a user with roles. Raises `InputInvalid` for a name in use, an unknown role, or a text that is too long."""
    if not user_name:
        raise InputInvalid({"user_name": ["A user needs a user ID."]})
    _require_storable(user_name=user_name, email=email, name=name)
    if db.session.execute(select(SysUser.sys_id).where(_is_called(user_name))).first():
        raise InputInvalid({"user_name": [f"There is a user {user_name} already."]})
    require_unclaimed(user_name)
    known = {role.name: role for role in db.session.execute(select(SysUserRole)).scalars()}
    unknown = [role for role in roles if role not in known]
    if unknown:
        raise InputInvalid({"roles": [f"There is no role {unknown[0]}; roles are {', '.join(sorted(known))}."]})
    user = SysUser(user_name=user_name, name=name or user_name, email=email)
    user.user_password = generate_password_hash(password) if password else None
    db.session.add(user)
    db.session.flush()
    db.session.add_all(SysUserHasRole(user=user.sys_id, role=known[role].sys_id) for role in dict.fromkeys(roles))
    db.session.flush()
    return user


def _require_storable(**texts: str | None) -> None:
    for name, text in texts.items():
        try:
            parse_value(name, SysUser.__table__.columns[name].info["entry"], text)
        except RequestUnreadable as problem:
            raise InputInvalid({name: [problem.detail or problem.message]}) from None


def _is_called(user_name: Any) -> ColumnElement[bool]:
    """Return the clause for a user name, in any case. The database converts both sides, because databases differ."""
    return func.lower(SysUser.user_name) == func.lower(user_name)


def is_of_other_user(name: str, user_id: str = "") -> bool:
    """Return whether a text means a user other than the one with a sys_id, in references: by name, user ID, or sys_id.

    Users who choose their name, or get it from an identity provider, must not be taken for others.
    """
    return _MEANT.first({"text": name, "user": user_id}) is not None


def set_password(user: SysUser, password: str) -> None:
    """Set the password of a user; the old one, all sessions, and all links end, in every process."""
    user.user_password = generate_password_hash(password)
    db.session.flush()
    end_sessions(user.sys_id)
    end_links(user.sys_id)


def confirm_password(user: SysUser, current: str, address: str, field: str = "current_password") -> None:
    """Require that a signed-in user knows their password. Raises `InputInvalid` with the field, and `RateLimited`."""
    guess = limiter.require_room_to_guess(address, user.user_name)
    _, is_right = try_password(guess, current)
    if not is_right:
        limiter.count_guess(guess)
        raise InputInvalid({field: ["This is not your current password."]})


def require_good_password(password: str) -> None:
    """Raise `InputInvalid` for a password that is too short, or that the table of users does not take."""
    if len(password) < SHORTEST_PASSWORD:
        raise InputInvalid({"new_password": [f"Enter at least {SHORTEST_PASSWORD} characters."]})
    if len(password) > LONGEST_PASSWORD or password == MASK or not is_storable(password):
        sentence = f"Enter at most {LONGEST_PASSWORD} characters, without control characters, and not only asterisks."
        raise InputInvalid({"new_password": [sentence]})


def set_time_zone(user: SysUser, name: str | None) -> None:
    """Set the time zone of a user's display values, from the next request on; None is UTC.

    Raises `InputInvalid` for an unknown name.
    """
    user.time_zone = require_time_zone(name) if name else None
    db.session.flush()


_verified_passwords = VerifiedPasswords()
_of_name = select(
    SysUser.sys_id,
    SysUser.user_name,
    SysUser.user_password,
    SysUser.active,
    SysUser.locked_out,
    SysUser.web_service_access_only,
    SysUser.time_zone,
    roles_of_user().label("roles"),
).where(_is_called(parameter("user_name", type_=String)))
_LOGIN = Prepared(_of_name)
_HELD = Prepared(_of_name.with_for_update(key_share=True).execution_options(locks_rows=True))
_TEXT = parameter("text", String)
_MEANT = Prepared(
    select(SysUser.sys_id)
    .where(or_(func.lower(SysUser.name) == func.lower(_TEXT), _is_called(_TEXT), SysUser.sys_id == _TEXT))
    .where(SysUser.sys_id != parameter("user", String))
    .limit(1)
)
