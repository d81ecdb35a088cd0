"""Single sign-on of the demo: the demo identity provider, and the people whose accounts there are linked."""

from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OidcProviderConfiguration, SysUserIdentity
from changegate.models.sign_on import MAPPINGS, PROVIDERS
from changegate.services.access.caller import SYSTEM_CALLER, as_process
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import get_user

ALIAS = "demo"
PROVIDER = {"name": "Demo IdP", "client_id": "changegate-demo", "active": "true", "create_users": "true"}
# The subjects of the demo identity provider; its other people get a user at their first sign-in.
SUBJECTS = {"maria.keller": "demo-10001", "tom.okafor": "demo-10002", "ines.duarte": "demo-10003"}
GRANTED = (
    {"value": "change-managers", "role": "change_manager"},
    {"value": "change-managers", "group": "CAB Approval"},
    {"value": "engineers", "role": "itil"},
    {"value": "engineers", "group": "Web Platform"},
)


def seed_demo_sign_on(issuer: str) -> None:
    """Let people sign in with the demo identity provider at an address, whatever an earlier demo has set up."""
    caller, table = as_process(SYSTEM_CALLER), get_table(PROVIDERS)
    known = db.session.execute(select(OidcProviderConfiguration.sys_id).filter_by(alias=ALIAS)).scalar_one_or_none()
    fields = PROVIDER | {"issuer": issuer}
    if known is None:
        provider = create_record(table, caller, {"alias": ALIAS, **fields})["sys_id"]
        for granted in GRANTED:
            mapping = {"provider": provider, "claim": "groups", **granted}
            create_record(get_table(MAPPINGS), caller, mapping, input_display_value=True)
    else:
        update_record(table, caller, known, fields)
    for user_name, subject in SUBJECTS.items():
        _link(get_user(user_name).sys_id, issuer, subject)


def _link(user: str, issuer: str, subject: str) -> None:
    caller, table = as_process(SYSTEM_CALLER), get_table("sys_user_identity")
    former = select(SysUserIdentity).filter_by(user=user, subject=subject)
    identities = {found.issuer: found.sys_id for found in db.session.execute(former).scalars()}
    for other in identities.keys() - {issuer}:
        delete_record(table, caller, identities[other])
    if issuer not in identities:
        create_record(table, caller, {"user": user, "issuer": issuer, "subject": subject})
