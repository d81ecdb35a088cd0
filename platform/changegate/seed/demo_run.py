"""The deletion of what the previous run of the demo has left, so that every run begins in the same way."""

from collections.abc import Iterable

from sqlalchemy import delete, select

from changegate.database import connection
from changegate.models import OAuthEntity, OAuthEntityKey, OAuthKeyAlert, Task
from changegate.seed.first_start import ADMIN_USER_NAME
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.keys.jwks_cache_rows import clear_cached_keys
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import delete_record
from changegate.services.users.accounts import get_user

# The correlation display of the changes that the steps of the demo create.
RUN_MARK = "demo run"


def forget_demo_run(integrations: Iterable[str]) -> None:
    """Delete the changes of the previous run, and the keys of its identity provider.

    The provider has new keys whenever it starts, and a cooldown of the previous run would delay the fetch of them.
    """
    admin = get_user(ADMIN_USER_NAME)
    caller = Caller(admin.sys_id, admin.user_name, Permissions(frozenset({"admin"})))
    for sys_id in connection().execute(select(Task.sys_id).where(Task.correlation_display == RUN_MARK)).scalars().all():
        delete_record(get_table("change_request"), caller, sys_id)
    named = select(OAuthEntity.sys_id).where(OAuthEntity.name.in_(tuple(integrations)))
    for entity in connection().execute(named).scalars().all():
        clear_cached_keys(connection(), entity)
        for table in (OAuthEntityKey, OAuthKeyAlert):
            connection().execute(delete(table).where(table.entity == entity))
