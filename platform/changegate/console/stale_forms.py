"""Stale forms: forms of a record that another user has changed since the form was opened.

    open    the form has the record's version as a hidden field
    save    the view locks the record, then compares: `is_stale`
              same version  ──> saved
              newer version ──> 409 with the differences and a checkbox whose value is the newer version
    again   saved if the checkbox has the stored version; if it has changed once more, 409 again

The comparison must run under the lock. Otherwise, two forms could both find their version current.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import render_template
from flask.typing import ResponseReturnValue

from changegate.database import rollback
from changegate.models import SysAudit
from changegate.models.base import Record
from changegate.services.tables.change_history import label_of, list_changes_since
from changegate.unproxied import current_request

VERSION, OVERWRITE = "version", "overwrite"
OF_THE_PAGE = ("csrf_token", VERSION, OVERWRITE)
_COUNT = re.compile(r"([0-9]{1,9})-[0-9]{14}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Difference:
    """The text of a field when the form was opened, as stored now, and as typed if the form has the field."""

    label: str
    loaded: str
    stored: str
    typed: str | None
    changes: Sequence[SysAudit]


def is_stale(record: Record) -> bool:
    """Return whether the sent form would overwrite a version of the locked record that its user has not seen."""
    return not was_seen(record.record_version)


def was_seen(version: str) -> bool:
    """Return whether the user of the sent form has seen a version: the form was opened on it, or is to replace it."""
    sent = current_request()
    return version in (sent.form.get(VERSION), sent.form.get(OVERWRITE))


def list_differences(
    record: Record, stored: Mapping[str, str], typed: Mapping[str, str] | None = None
) -> list[Difference]:
    """Return the fields that have changed since the form was opened, and those that the form would change."""
    changes: dict[str, list[SysAudit]] = {}
    for change in _changes_since_opened(record):
        changes.setdefault(change.fieldname, []).append(change)
    typed = typed or {}
    names = [*stored, *(name for name in changes if name not in stored)]
    return [
        _difference(record, name, stored.get(name), typed.get(name), changes.get(name, ()))
        for name in names
        if name in changes or typed.get(name, stored.get(name)) != stored.get(name)
    ]


def stale_page(record: Record, name: str, stored: Mapping[str, str], back: str) -> ResponseReturnValue | None:
    """Return the page that asks for confirmation of a button on a stale page; None if the page is not stale.

    The page sends the same fields again, except those of the page itself.
    """
    http_request = current_request()
    if not is_stale(record):
        return None
    # Releases the lock of the record, which other users would wait for while the page is rendered.
    rollback()
    sent = [(field, value) for field, value in http_request.form.items(multi=True) if field not in OF_THE_PAGE]
    differences = list_differences(record, stored)
    page = render_template(
        "console/stale_form.html",
        record=record,
        name=name,
        sent=sent,
        stale=differences,
        back=back,
        here=http_request.path,
    )
    return page, 409


def _changes_since_opened(record: Record) -> Sequence[SysAudit]:
    opened = _COUNT.match(current_request().form.get(VERSION, ""))
    return list_changes_since(record, int(opened[1])) if opened else ()


def _difference(
    record: Record, name: str, stored: str | None, typed: str | None, changes: Sequence[SysAudit]
) -> Difference:
    now = stored if stored is not None else (changes[-1].newvalue or "")
    loaded = (changes[0].oldvalue or "") if changes else now
    return Difference(label_of(record, name), loaded, now, typed, changes)
