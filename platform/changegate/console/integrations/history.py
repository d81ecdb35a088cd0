"""The history of an integration: who changed which field, when, and the old and new values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from changegate.models import OAuthEntity, SysAudit
from changegate.services.tables.change_history import CHANGED_BENEATH, label_of, list_saves

CHANGES_PER_PAGE = 25
CHANGED = CHANGED_BENEATH.format("").strip()
# Fields whose values mean nothing to readers: the label and the sentence that are shown instead.
EVENTS = {
    "client_secret_hash": ("Client secret", "Replaced"),
    "token_generation": ("Tokens", "All issued tokens were revoked"),
}


@dataclass(frozen=True, slots=True)
class ChangedField:
    """A field with its values as text; with a sentence, the values are not shown."""

    label: str
    old: str
    new: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Save:
    """The changes that one user made at one time."""

    user: str
    at: datetime
    fields: Sequence[ChangedField]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of saves, newest first; `before` is the number of the save that the next page begins after."""

    saves: Sequence[Save]
    before: int | None


def list_history(entity: OAuthEntity, before: int | None) -> HistoryPage:
    """Return a page of the history of an integration."""
    found = list_saves(entity, CHANGES_PER_PAGE + 1, before)
    saves, has_more = found[:CHANGES_PER_PAGE], len(found) > CHANGES_PER_PAGE
    older = saves[-1][0].record_checkpoint if has_more else None
    return HistoryPage([_save(entity, changes) for changes in saves], older)


def _save(entity: OAuthEntity, changes: Sequence[SysAudit]) -> Save:
    first = changes[0]
    return Save(first.user, first.sys_created_on, [_field(entity, change) for change in changes])


def _field(entity: OAuthEntity, change: SysAudit) -> ChangedField:
    if change.fieldname in EVENTS:
        label, sentence = EVENTS[change.fieldname]
        return ChangedField(label, "", "", sentence)
    sentence = "Changed" if change.newvalue == CHANGED else ""
    return ChangedField(label_of(entity, change.fieldname), change.oldvalue or "", change.newvalue or "", sentence)
