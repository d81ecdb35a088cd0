"""The rules for writes of proposals: one person proposes, another one decides, and nobody edits in between."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, InputInvalid, OperationFailed
from changegate.models import StdChangeProducerVersion, StdChangeRecordProducer
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller, as_process
from changegate.services.approvals.people import person_keys
from changegate.services.standard_changes.content import CONTENT, require_valid_content
from changegate.services.standard_changes.template_rules import require_free_name
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing.records import create_record, update_record, write_changes

PROPOSALS, TEMPLATES = "std_change_proposal", "std_change_record_producer"
NEW, MODIFY, RETIRE = "new", "modify", "retire"
REQUESTED, APPROVED, REJECTED, CANCELED = "requested", "approved", "rejected", "canceled"
DECISION = frozenset({"state", "comments"})
DECIDERS = frozenset({"change_manager"})
FOUR_EYES = "The person who proposed a template cannot decide about it. Another change manager approves or rejects it"
NO_DECIDER = "You need the role change_manager to decide about a proposal"
ENDED = "The proposal is {} and cannot change any more. Propose again"
CONTENT_FIXED = "{}: a proposal is decided as it was proposed. Cancel it (state=canceled), and propose again"
OUTDATED = "The template has version {} by now, and the proposal modifies version {}. Propose again"
_TEMPLATES, _VERSIONS = StdChangeRecordProducer.__table__, StdChangeProducerVersion.__table__
_LOCK = Prepared(
    select(_TEMPLATES)
    .where(_TEMPLATES.c["sys_id"] == parameter("template"))
    .with_for_update(key_share=True)
    .execution_options(locks_rows=True)
)
_TEMPLATE = Prepared(select(_TEMPLATES).where(_TEMPLATES.c["sys_id"] == parameter("template")))
_LINK = Prepared(
    update(_VERSIONS)
    .where(_VERSIONS.c["sys_id"] == parameter("of_version"))
    .values(std_change_proposal=parameter("of_proposal"))
)


class ProposalRules(Rules):
    """Rules of std_change_proposal."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the name and content of the template that is modified or retired."""
        row = _TEMPLATE.first({"template": sent["std_change_producer"]}) if sent.get("std_change_producer") else None
        return {name: getattr(row, name) or "" for name in ("name", *CONTENT)} if row else {}

    def before_create(self, values: Values, caller: Caller) -> None:
        """Complete a proposal, and refuse an invalid one."""
        values |= {"state": REQUESTED, "proposed_by": caller.sys_id}
        template = _TEMPLATE.first({"template": values.get("std_change_producer")})
        _require_template(values, template)
        if template is not None:
            values |= {"name": template.name, "base_version": template.version}
        elif values.get("name"):
            require_free_name(values["name"])
        if values["proposal_type"] == RETIRE:
            values |= dict.fromkeys(CONTENT)
        require_valid_content(values, caller)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse edits, and a decision by the person who proposed, or without the role."""
        if not changes:
            return
        if record["state"] != REQUESTED:
            raise OperationFailed(ENDED.format(record["state"]))
        for name in changes.keys() - DECISION:
            raise OperationFailed(CONTENT_FIXED.format(name))
        state = changes.get("state", REQUESTED)
        if state != CANCELED or record["proposed_by"] != caller.sys_id:
            caller.permissions.require_role(DECIDERS, NO_DECIDER)
        if state in {APPROVED, REJECTED} and _is_same_person(record["proposed_by"], caller.sys_id):
            raise AccessRefused("Operation Failed", FOUR_EYES)
        if state == REJECTED and not changes.get("comments", record["comments"]):
            raise OperationFailed("comments: give the reason of the rejection")
        if state != REQUESTED:
            changes |= {"decided_by": caller.sys_id, "decided_at": utc_now()}

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Carry out what was approved."""
        if changes.get("state") != APPROVED:
            return None
        table, process = get_table(TEMPLATES), as_process(caller)
        if record["proposal_type"] == NEW:
            content = {name: record[name] or "" for name in ("name", "description", *CONTENT)}
            made = create_record(table, process, content)
            _link(record, made["current_version"])
            link = {"std_change_producer": made["sys_id"]}
            return write_changes(get_table(PROPOSALS), {**record, **changes}, link, caller)
        _modify(table, record, process)
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete the evidence of a decision."""
        if record["state"] in {APPROVED, REJECTED}:
            raise OperationFailed(f"A proposal that is {record['state']} is evidence and cannot be deleted")


def _require_template(values: Values, template: Any | None) -> None:
    """Refuse a modification of no template, and a new template that is one already."""
    if values["proposal_type"] == NEW and values.get("std_change_producer"):
        raise InputInvalid({"std_change_producer": ["A new template has none. Leave it out, or propose to modify it."]})
    if values["proposal_type"] != NEW and template is None:
        raise InputInvalid({"std_change_producer": ["Name the template that you propose to modify or retire."]})


def _is_same_person(one: str, other: str) -> bool:
    keys = person_keys({one, other})
    return keys[one] == keys[other]


def _modify(table: Table, record: Mapping[str, Any], caller: Caller) -> None:
    """Publish the proposed content as the next version of the template, or retire the template."""
    template = _LOCK.first({"template": record["std_change_producer"]})
    if template is None:
        raise OperationFailed("The template of the proposal does not exist any more. Reject or cancel the proposal")
    if template.version != record["base_version"]:
        raise OperationFailed(OUTDATED.format(template.version, record["base_version"]))
    if record["proposal_type"] == RETIRE:
        update_record(table, caller, template.sys_id, {"active": "false"})
        return
    update_record(table, caller, template.sys_id, {name: record[name] or "" for name in CONTENT})
    published = _TEMPLATE.first({"template": template.sys_id})
    if published and published.version != template.version:
        _link(record, published.current_version)


def _link(proposal: Mapping[str, Any], version: str) -> None:
    _LINK.execute({"of_version": version, "of_proposal": proposal["sys_id"]})
