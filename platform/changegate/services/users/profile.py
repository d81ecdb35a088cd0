"""The profile: what users change about themselves, by the rules and with the audit trail of their table."""

from collections.abc import Mapping

from sqlalchemy import select

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import SysUser
from changegate.printable import plain_name
from changegate.services.access.caller import Caller, as_process
from changegate.services.tables.registry import get_table
from changegate.services.tables.versions import VersionCheck
from changegate.services.tables.writing.records import update_record
from changegate.services.users.accounts import is_of_other_user

FIELDS = ("name", "first_name", "last_name", "time_zone")


def save_profile(caller: Caller, sent: Mapping[str, str], *, condition: VersionCheck) -> None:
    """Write the fields of `FIELDS` of the version that the user has seen; an empty time zone means UTC.

    Raises `InputInvalid`, `RequestUnreadable`, and `VersionOutdated`.
    """
    name = plain_name(sent["name"])
    if not name:
        raise InputInvalid({"name": ["Enter the name by which others find you."]})
    # References and approvals show names, and forms take them, so nobody takes what means another user.
    own = db.session.execute(select(SysUser.name).where(SysUser.sys_id == caller.sys_id)).scalar_one()
    if sent["name"] == own:
        name = own
    elif not name.isprintable():
        raise InputInvalid({"name": ["The name has characters that are not seen. Enter it without them."]})
    elif is_of_other_user(name, caller.sys_id):
        raise InputInvalid({"name": ["Another user has this name."]})
    fields = {field: sent[field] for field in FIELDS} | {"name": name}
    update_record(get_table("sys_user"), as_process(caller), caller.sys_id, fields, condition=condition)
