"""The shipped template of standard changes, which clients of ServiceNow expect under its name."""

from sqlalchemy import func, or_, select

from changegate.extensions import db
from changegate.models import StdChangeRecordProducer
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.dictionary import sys_id_of
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record

TABLE = "std_change_record_producer"
NAME = "Clear BGP sessions on a Cisco router"
VALUES = {
    "short_description": NAME,
    "description": "Resend the complete BGP table to neighboring routers.\n"
    "Each neighbor must support route refresh, and the router needs the memory for the received routes.",
    "category": "Network",
    "risk": "4",
    "impact": "3",
    "implementation_plan": "1. Write down the state of each session and the number of received prefixes.\n"
    "2. Clear one session with soft reset.\n"
    "3. Wait until the session is established, then continue with the next neighbor.",
    "backout_plan": "None is needed: a session that was cleared is established again.",
    "test_plan": "Each session is established, and the number of received prefixes is as before.",
}


def seed_standard_changes() -> None:
    """Add the template, unless there is one of this name; an existing one is not changed."""
    sys_id = sys_id_of(TABLE, NAME)
    is_known = or_(StdChangeRecordProducer.sys_id == sys_id, func.lower(StdChangeRecordProducer.name) == NAME.lower())
    if db.session.execute(select(StdChangeRecordProducer.sys_id).where(is_known)).first() is None:
        values = {"name": NAME, "description": "Restart the sessions of one router, without an outage of its routes."}
        values["template"] = "^".join((*(f"{name}={value}" for name, value in VALUES.items()), "EQ"))
        system = Caller("", "system", Permissions(frozenset({"admin"})))
        create_record(get_table(TABLE), system, values, sys_id=sys_id)
