"""Inputs: conversion of the fields of a request to the changed values of a record.

See docs/reference/table-api.md#writes.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from changegate.errors import RequestUnreadable
from changegate.extensions import settings
from changegate.models.base import Choices, Entry
from changegate.services.access.caller import Caller
from changegate.services.tables.choices import find_choices
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import parse_text, text_of
from changegate.services.tables.writing.references import resolve_references

REFERRING = frozenset({"reference", "glide_list"})


def changed_values(
    table: Table, caller: Caller, fields: Mapping[str, Any], current: Values, *, by_display: bool
) -> Values:
    """Return the storable values of the known, writable fields that differ from `current`; None empties a field.

    Unchanged values are not validated again: a client may write back a record with a choice that is inactive by now, or
    with a reference to a record that the caller cannot see. With `by_display`, fields hold display values: names,
    labels, and times in the caller's time zone. Raises `RequestUnreadable` naming the field.
    """
    values: Values = {}
    # Collected first, so that one statement reads all choices, and references need one statement for each table.
    choosing: dict[str, str] = {}
    referring: dict[str, str] = {}
    zone = caller.time_zone if by_display else None
    for name, sent in fields.items():
        entry = table.entries.get(name)
        # Ignored, as by ServiceNow; `ignored_fields` reports them to the caller.
        if entry is None or entry.is_read_only:
            continue
        text = text_of(name, sent)
        if text and entry.choices is not None:
            if text != str(current.get(name)):
                choosing[name] = text
        else:
            values[name] = value = parse_text(name, entry, text, zone if zone and not _is_value(sent) else None)
            if value is not None and entry.kind in REFERRING and value != current.get(name):
                referring[name] = value
    if choosing:
        values |= _chosen(table, choosing, by_display=by_display)
    if referring:
        values |= resolve_references(table, caller, referring, by_display=by_display)
    return {name: value for name, value in values.items() if not is_same(current.get(name), value)}


def _is_value(sent: Any) -> bool:
    """Return whether a field was sent as an object with the stored value, whose times are always UTC."""
    return isinstance(sent, dict) and "value" in sent


def is_same(stored: Any, value: Any) -> bool:
    """Return whether a value equals the stored one; an empty string equals None."""
    return bool((None if stored == "" else stored) == value)


def _chosen(table: Table, texts: Mapping[str, str], *, by_display: bool) -> Values:
    """Return the values of choice fields, checked against the active choices, which one statement reads."""
    offered = find_choices(table.name, texts, active_only=True)
    return {
        name: _choice(name, table.entries[name], text, offered.get(name, {}), by_display=by_display)
        for name, text in texts.items()
    }


def _choice(name: str, entry: Entry, text: str, choices: Choices, *, by_display: bool) -> Any:
    chosen = (_value_labelled(choices, text) if by_display else None) or text
    try:
        return parse_text(name, replace(entry, choices=choices), chosen)
    except RequestUnreadable:
        if not settings().choice_allow_non_existing_value:
            raise
    # With CHANGEGATE_CHOICE_ALLOW_NON_EXISTING_VALUE, type and length are still validated. A value that the field ships
    # with, and that is inactive, keeps its spelling: queries compare it as it is.
    shipped = (value for value in entry.choices or () if value.lower() == chosen.strip().lower())
    return parse_text(name, replace(entry, choices=None), next(shipped, chosen))


def values_of_labels(table: Table, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return sent fields in which the label of an active choice is replaced by its value.

    A text that is a value stays, also if another choice has it as its label.
    """
    choosing = {
        name: (name.lower(), text)
        for name, text in sent.items()
        if isinstance(text, str) and (entry := table.entries.get(name.lower())) and entry.choices is not None
    }
    offered = find_choices(table.name, (name for name, _ in choosing.values()), active_only=True) if choosing else {}
    labelled = {
        name: _value_labelled(offered.get(field, {}), text)
        for name, (field, text) in choosing.items()
        if text.strip().lower() not in map(str.lower, offered.get(field, {}))
    }
    return {**sent, **{name: value for name, value in labelled.items() if value is not None}}


def _value_labelled(choices: Choices, text: str) -> str | None:
    folded = text.strip().lower()
    return next((value for value, label in choices.items() if label.lower() == folded), None)
