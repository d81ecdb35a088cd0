"""Templates of standard changes."""

from sqlalchemy import select

from changegate.extensions import db
from changegate.models import StdChangeRecordProducer
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.support.people import ROOT

TEMPLATES = get_table("std_change_record_producer")


def add_template(name: str = "Restart", template: str = "short_description=Restart^EQ", **fields: str) -> str:
    """Publish a template, and return the sys_id of its version."""
    made = create_record(TEMPLATES, ROOT, {"name": name, "template": template, **fields})
    version: str = made["current_version"]
    return version


def edit_template(name: str, /, **fields: str) -> str:
    """Edit a template, and return the sys_id of its current version."""
    named = select(StdChangeRecordProducer.sys_id).where(StdChangeRecordProducer.name == name)
    record = update_record(TEMPLATES, ROOT, db.session.execute(named).scalar_one(), fields)
    version: str = record[TEMPLATES.fields_for(ROOT.permissions).index("current_version")]
    return version


def retire(name: str) -> None:
    """Retire a template."""
    edit_template(name, active="false")
