"""The content of templates: values of new changes as an encoded query, and names of fields."""

from collections.abc import Iterable, Mapping
from typing import Any

from changegate.errors import InputInvalid, RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.inputs import changed_values

CONTENT = ("template", "mandatory_fields", "read_only_fields")
STANDARD = "standard"
# A plan that a template contains is read-only: what a pre-approved change does is what was approved.
PLANS = ("implementation_plan", "backout_plan", "test_plan", "change_plan")
# No preset sets these: a change begins in state New, with the template and model that were sent.
NOT_PRESET = frozenset({"state", "std_change_producer_version", "chg_model"})
# Who asked for a change, and how far it is, are facts of each change.
_OF_CHANGE = NOT_PRESET | frozenset(
    {
        *("active", "approval", "approval_set", "opened_at", "opened_by", "closed_at", "closed_by", "requested_by"),
        *("on_hold", "on_hold_reason", "unauthorized", "work_start", "work_end", "close_code", "close_notes"),
    }
)


def parse_preset(text: str | None) -> dict[str, str]:
    """Parse `field=value^field=value^EQ`; `^^` is a caret in a value. Return the values by field."""
    items = (text or "").replace("^^", "\0").split("^")
    pairs = (item.replace("\0", "^").partition("=") for item in items)
    return {name: value for name, is_pair, value in pairs if is_pair and name not in NOT_PRESET}


def names_in(text: str | None) -> tuple[str, ...]:
    """Return the field names of a list that is separated by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def read_only_of(names: str | None, preset: Mapping[str, str]) -> tuple[str, ...]:
    """Return the read-only fields of a template: those that it names, and the plans that it contains."""
    return tuple(dict.fromkeys((*names_in(names), *(name for name in PLANS if preset.get(name)))))


def values_of(names: Iterable[str], preset: Mapping[str, str], caller: Caller) -> dict[str, Any]:
    """Return the stored values that a template gives to fields; None for a field that it leaves empty.

    Raises `RequestUnreadable`.
    """
    texts = {name: preset.get(name, "") for name in names}
    return {**dict.fromkeys(texts), **changed_values(_changes(), caller, texts, {}, by_display=False)}


def require_valid_content(content: Mapping[str, Any], caller: Caller) -> None:
    """Raise `InputInvalid` for values that no change can have, and for fields that no template decides."""
    preset = _parse_strictly(content.get("template") or "")
    for name in ("mandatory_fields", "read_only_fields"):
        for field in names_in(content.get(name)):
            _require_field(name, field)
    _require_consistent(content, preset)
    try:
        values_of(preset, preset, caller)
    except RequestUnreadable as problem:
        raise InputInvalid({"template": [f"{problem.detail}."]}) from None


def _parse_strictly(text: str) -> dict[str, str]:
    for item in text.replace("^^", "").split("^"):
        name, is_pair, value = item.partition("=")
        if is_pair:
            _require_field("template", name)
        elif item not in ("", "EQ"):
            raise InputInvalid({"template": [f"{item[:100]!r} is not a value such as category=Network."]})
        if name == "type" and value != STANDARD:
            raise InputInvalid({"template": ["type: a change from a template has the type standard."]})
    return parse_preset(text)


def _require_field(where: str, name: str) -> None:
    entry = _changes().entries.get(name)
    if entry is None or entry.is_read_only or name in _OF_CHANGE:
        raise InputInvalid({where: [f"{name[:100]!r} is not a field of a change that a template can decide."]})


def _require_consistent(content: Mapping[str, Any], preset: Mapping[str, str]) -> None:
    """Refuse a read-only field that a change would need and cannot have."""
    mandatory, columns = names_in(content.get("mandatory_fields")), _changes().source.c
    for name in names_in(content.get("read_only_fields")):
        if not preset.get(name) and (name in mandatory or columns[name].default is not None):
            raise InputInvalid({"read_only_fields": [f"{name} needs a value in the template to be read-only."]})


def _changes() -> Table:
    return get_table("change_request")
