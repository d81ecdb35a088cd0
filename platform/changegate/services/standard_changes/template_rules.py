"""The rules for writes of templates: each edit of the content publishes a version."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import StdChangeProducerVersion, StdChangeRecordProducer, Task
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.standard_changes.content import CONTENT, require_valid_content
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing.records import write_changes
from changegate.services.tables.writing.written_rows import insert_row

VERSIONS = "std_change_producer_version"
NAME_FIXED = (
    "name: the versions of a template have its name, which cannot change. Retire it and create another template"
)
EXISTS = "name: there is a template {} already. Propose to modify it: proposal_type=modify"
_VERSIONS, _TEMPLATES = StdChangeProducerVersion.__table__, StdChangeRecordProducer.__table__
_NAMED = Prepared(
    select(_TEMPLATES.c["name"]).where(func.lower(_TEMPLATES.c["name"]) == func.lower(parameter("named")))
)
_OF_TEMPLATE = Prepared(select(_VERSIONS).where(_VERSIONS.c["std_change_producer"] == parameter("template")))
_USED = Prepared(
    select(Task.number)
    .join(_VERSIONS, _VERSIONS.c["sys_id"] == Task.__table__.c["std_change_producer_version"])
    .where(_VERSIONS.c["std_change_producer"] == parameter("template"))
    .limit(1)
)


class TemplateRules(Rules):
    """Rules of std_change_record_producer."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid template, and a second one of the same name."""
        if values.get("name"):
            require_free_name(values["name"])
        require_valid_content(values, caller)
        values |= {"version": 1, "current_version": new_sys_id()}

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Publish the first version."""
        _publish(values, caller)
        return None

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an invalid template and another name; an edit of the content makes another version."""
        if "name" in changes:
            raise OperationFailed(NAME_FIXED)
        if not changes.keys().isdisjoint(CONTENT):
            require_valid_content({**record, **changes}, caller)
            changes |= {"version": record["version"] + 1, "current_version": new_sys_id()}

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Publish the version, and deactivate the one before, or all of them if the template is retired."""
        template = {**record, **changes}
        if "current_version" in changes:
            _publish(template, caller)
        for row in _OF_TEMPLATE.all({"template": record["sys_id"]}):
            version = dict(zip(_VERSIONS.c.keys(), row, strict=True))
            is_active = template["active"] and version["sys_id"] == template["current_version"]
            if version["active"] != is_active:
                write_changes(get_table(VERSIONS), version, {"active": is_active}, caller)
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a template that changes were created from."""
        if used := _USED.first({"template": record["sys_id"]}):
            name = record["name"]
            raise OperationFailed(
                f"Template {name} is in use, for example by {used.number}. Retire it: set active=false"
            )


def require_free_name(name: str) -> None:
    """Raise `OperationFailed` if there is a template of a name, in any case: versions are found by their names."""
    if row := _NAMED.first({"named": name}):
        raise OperationFailed(EXISTS.format(row.name))


def _publish(template: Mapping[str, Any], caller: Caller) -> None:
    now = utc_now()
    stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
    author = {"sys_created_by": caller.user_name, "sys_updated_by": caller.user_name}
    values = {
        "sys_id": template["current_version"],
        "name": f"{template['name']} - {template['version']}",
        "version": template["version"],
        "active": template["active"],
        "std_change_producer": template["sys_id"],
        **{name: template.get(name) for name in CONTENT},
    }
    insert_row(get_table(VERSIONS), {**stamps, **author, **values}, caller)
