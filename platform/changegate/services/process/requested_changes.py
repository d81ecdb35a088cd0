"""Changes that people without the role for it request: from the templates that they are offered, or blank if allowed.

A template specifies to whom it is offered. Requesters enter the fields of `ENTERED` and the mandatory ones of the
template; everything else is decided by the template, the process, and the people who plan the change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused
from changegate.extensions import settings
from changegate.models import StdChangeRecordProducer, SysUserGroupMember
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.process.changes import changes_table
from changegate.services.process.refusals import data_policy
from changegate.services.standard_changes.content import names_in, parse_preset, read_only_of
from changegate.services.tables.writing.records import create_record

# In their order on the form.
ENTERED = (
    *("short_description", "description", "justification", "cmdb_ci", "business_service", "assignment_group"),
    *("start_date", "end_date"),
)
# The role with which a requested change is written.
WRITER = "sn_change_write"
NOT_OFFERED = "This template is not offered to you. Choose one of the templates under Request a change"
NO_BLANK = "Changes are requested from a template here. Choose one of the templates under Request a change"
_TEMPLATES, _MEMBERS = StdChangeRecordProducer.__table__.c, SysUserGroupMember.__table__.c
_ACTIVE = Prepared(
    select(
        *(_TEMPLATES[name] for name in ("sys_id", "name", "description", "current_version", "template")),
        *(_TEMPLATES[name] for name in ("mandatory_fields", "read_only_fields", "offered_to_all", "offered_to")),
    )
    .where(_TEMPLATES["active"], _TEMPLATES["current_version"].is_not(None), _TEMPLATES["integrations"].is_(None))
    .order_by(_TEMPLATES["name"])
)
_GROUPS = Prepared(select(_MEMBERS["group"]).where(_MEMBERS["user"] == parameter("user")))


@dataclass(frozen=True, slots=True)
class OfferedChange:
    """A template from which the caller may request changes; a blank change has no `version`.

    `entered` are the fields that the requester enters, and `fixed` those that the template decides.
    """

    sys_id: str
    name: str
    description: str
    version: str | None
    preset: Mapping[str, str]
    mandatory: tuple[str, ...]
    entered: tuple[str, ...]
    fixed: tuple[str, ...] = ()


BLANK = OfferedChange(
    "blank", "Another change", "Describe what is to be changed.", None, {}, ("short_description",), ENTERED
)


def list_offers(caller: Caller) -> list[OfferedChange]:
    """Return the templates that are offered to the caller by name; to those who may create changes, all of them.

    A template that is bound to integrations is offered to no person.
    """
    may_create = changes_table().access.admits("create", caller.permissions)
    groups = {row.group for row in _GROUPS.all({"user": caller.sys_id})}
    offers = [
        _offer(row)
        for row in _ACTIVE.all({})
        if may_create or row.offered_to_all or not groups.isdisjoint(names_in(row.offered_to))
    ]
    return [*offers, BLANK] if may_create or settings().blank_requests else offers


def get_offer(sys_id: str, caller: Caller) -> OfferedChange:
    """Return what the caller is offered under a sys_id. Raises `AccessRefused`."""
    offer = next((each for each in list_offers(caller) if each.sys_id == sys_id), None)
    if offer is None:
        raise AccessRefused("Operation Failed", NO_BLANK if sys_id == BLANK.sys_id else NOT_OFFERED)
    return offer


def request_change(offer: OfferedChange, texts: Mapping[str, str], caller: Caller) -> Mapping[str, Any]:
    """Create a change that the caller requests, and return it. `texts` are display values by field; others are ignored.

    Raises the errors of `create_record`.
    """
    sent = {name: texts[name] for name in offer.entered if texts.get(name)}
    # Records may be without one, but people find requests by it.
    if "short_description" in offer.entered and "short_description" not in sent:
        raise data_policy(["short_description"])
    if offer.version:
        sent["std_change_producer_version"] = offer.version
    writer = Caller(caller.sys_id, caller.user_name, Permissions(caller.roles | {WRITER}), time_zone=caller.time_zone)
    return create_record(changes_table(), writer, sent, input_display_value=True)


def _offer(row: Any) -> OfferedChange:
    preset = parse_preset(row.template)
    read_only, mandatory = read_only_of(row.read_only_fields, preset), names_in(row.mandatory_fields)
    entered = (name for name in dict.fromkeys((*ENTERED, *mandatory)) if name not in read_only)
    return OfferedChange(
        row.sys_id, row.name, row.description or "", row.current_version, preset, mandatory, tuple(entered), read_only
    )
