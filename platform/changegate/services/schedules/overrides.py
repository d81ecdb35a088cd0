"""Overrides: freezes that do not apply to a change, because a person with the role has decided so."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, InputInvalid
from changegate.models import ChgFreezeOverride
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import GOVERNED_FIELDS, RECALCULATED, hash_of_content, read_content
from changegate.services.approvals.four_eyes import initiators_of
from changegate.services.schedules.freezes import FrozenSpan
from changegate.services.schedules.stored import Freeze, read_schedules

MANAGER = "change_manager"
NO_ROLE = "No role may override the freeze {}. An administrator can change or end it"
OTHER_ROLE = "The freeze {} can be overridden by users with the role {}"
# The risk may be calculated again at any time.
_FIELDS = frozenset(GOVERNED_FIELDS) - RECALCULATED
_OF_CHANGE = Prepared(
    select(ChgFreezeOverride.freeze, ChgFreezeOverride.freeze_version, ChgFreezeOverride.content_hash).where(
        ChgFreezeOverride.change_request == parameter("change")
    )
)


def roles_that_override(freeze: Freeze) -> tuple[str, ...]:
    """Return the roles whose holders may override a freeze: the one it names, and change managers if it is soft."""
    named = (freeze.override_role,) if freeze.override_role else ()
    return named if freeze.is_hard or MANAGER in named else (*named, MANAGER)


def without_overridden(change: Mapping[str, Any], spans: Sequence[FrozenSpan]) -> list[FrozenSpan]:
    """Return the spans of the freezes that are not overridden for a change with its present content."""
    rows = _OF_CHANGE.all({"change": change["sys_id"]}) if spans else []
    if not rows:
        return list(spans)
    content = hash_of_content(read_content(change, _FIELDS))
    overridden = {(row.freeze, row.freeze_version) for row in rows if row.content_hash == content}
    return [each for each in spans if (each.freeze.sys_id, each.freeze.version) not in overridden]


def begin_override(values: dict[str, Any], change: Mapping[str, Any], caller: Caller) -> Freeze:
    """Complete the values of an override of a locked change, and return the freeze.

    Raises `AccessRefused` for callers who may not override it, and `InputInvalid`.
    """
    freeze = next((each for each in read_schedules().freezes if each.sys_id == values["freeze"]), None)
    if freeze is None:
        raise InputInvalid({"freeze": ["The freeze is not active, so that nothing has to be overridden."]})
    if not values["reason"].strip():
        raise InputInvalid({"reason": ["Enter why the change cannot wait until the freeze ends."]})
    _require_role(freeze, caller)
    if reason := initiators_of(change).why_not(caller.sys_id):
        raise AccessRefused("Operation Failed", f"Somebody else must override the freeze: {reason}")
    values |= {
        "overridden_by": caller.sys_id,
        "freeze_version": freeze.version,
        "content_hash": hash_of_content(read_content(change, _FIELDS)),
    }
    return freeze


def _require_role(freeze: Freeze, caller: Caller) -> None:
    roles: Collection[str] = roles_that_override(freeze)
    if not roles:
        raise AccessRefused("Operation Failed", NO_ROLE.format(freeze.name))
    # Administrators hold every role, but a hard freeze names who decides.
    is_admitted = caller.roles & set(roles) if freeze.is_hard else caller.permissions.has_role(roles)
    if not is_admitted:
        raise AccessRefused("Operation Failed", OTHER_ROLE.format(freeze.name, " or ".join(roles)))
