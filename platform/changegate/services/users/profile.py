"""The profile: what users change about themselves, by the rules and with the audit trail of their table."""

from collections.abc import Mapping
from unicodedata import normalize

from sqlalchemy import func, select

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.access.caller import Caller, as_process
from changegate.services.tables.registry import get_table
from changegate.services.tables.versions import VersionCheck
from changegate.services.tables.writing.records import update_record

FIELDS = ("name", "first_name", "last_name", "time_zone")


def save_profile(caller: Caller, sent: Mapping[str, str], *, condition: VersionCheck) -> None:
    """Write the fields of `FIELDS` of the version that the user has seen; an empty time zone means UTC.

    Raises `InputInvalid`, `RequestUnreadable`, and `VersionOutdated`.
    """
    # Similar spellings of another name: full-width letters, several blanks, characters that are not seen.
    name = " ".join(normalize("NFKC", sent["name"]).split())
    if not name:
        raise InputInvalid({"name": ["Enter the name by which others find you."]})
    # References and approvals show names, so nobody takes the name of another user.
    others = select(SysUser.sys_id).where(func.lower(SysUser.name) == func.lower(name), SysUser.sys_id != caller.sys_id)
    own = db.session.execute(select(SysUser.name).where(SysUser.sys_id == caller.sys_id)).scalar_one()
    if sent["name"] == own:
        name = own
    elif not name.isprintable():
        raise InputInvalid({"name": ["The name has characters that are not seen. Enter it without them."]})
    elif db.session.execute(others.limit(1)).first():
        raise InputInvalid({"name": ["Another user has this name."]})
    fields = {field: sent[field] for field in FIELDS} | {"name": name}
    update_record(get_table("sys_user"), as_process(caller), caller.sys_id, fields, condition=condition)
