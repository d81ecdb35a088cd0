"""The authority to save an integration, and the audiences that integrations share."""

from collections.abc import Collection

from sqlalchemy import select

from changegate.errors import AdministratorRequired
from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import expand_roles
from changegate.services.users.roles import ADMIN, roles_of_user

# The command line saves under this name; its users have full control of the instance.
COMMAND_LINE = "system"
RUNS_AS = "Tokens of this integration act as {}, who has the role admin. Only an administrator can save or enable it."
MAPS = (
    "Tokens of this integration act as whichever user matches, and administrators may match. "
    "Only an administrator can save or enable it."
)


def require_authority(entity: OAuthEntity, caller: Caller) -> None:
    """Refuse callers without the role admin if tokens of the integration may act as an administrator.

    Raises `AdministratorRequired` with the field that determines whom the tokens act as.
    """
    if ADMIN in caller.roles:
        return
    if entity.user_field:
        raise AdministratorRequired("user_field", MAPS)
    run_as = select(SysUser.user_name, roles_of_user().label("roles")).where(SysUser.sys_id == entity.run_as)
    user = db.session.execute(run_as).one_or_none()
    if user is not None and ADMIN in expand_roles(user.roles):
        raise AdministratorRequired("run_as", RUNS_AS.format(user.user_name))


def shared_audiences(own: Collection[str] | None, others: Collection[str] | None) -> list[str]:
    """Return the audiences that two integrations have in common."""
    return sorted(set(own or ()).intersection(others or ()))
