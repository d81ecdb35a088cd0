"""Drafts: integrations that an administrator has begun to set up, kept for a week and for them alone.

A draft never contains a token; see `recognition`.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from changegate.database import connection
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db, now
from changegate.models import IntegrationDraft
from changegate.services.jobs.cleanups import deletes

DRAFTS_KEPT_FOR = timedelta(days=7)
MOST_DRAFTS = 20
MOST_DRAFT_CHARACTERS = 200_000
TOO_LONG = f"The draft is longer than {MOST_DRAFT_CHARACTERS} characters. Shorten the entries, or use the full form."


def start_draft(user: str, content: Mapping[str, Any]) -> IntegrationDraft:
    """Store a draft of a user; beyond `MOST_DRAFTS`, the oldest ones are deleted. Raises `InputInvalid` if too long.

    `user` is a sys_id.
    """
    at = now()
    draft = IntegrationDraft(user=user, content=_packed(content), created_at=at, expires_at=at + DRAFTS_KEPT_FOR)
    oldest = _of_user(user).with_only_columns(IntegrationDraft.sys_id).offset(MOST_DRAFTS - 1)
    beyond = connection().execute(oldest).scalars().all()
    connection().execute(delete(IntegrationDraft).where(IntegrationDraft.sys_id.in_(beyond)))
    db.session.add(draft)
    db.session.flush()
    return draft


def get_draft(draft_id: str, user: str) -> IntegrationDraft:
    """Return a draft of a user; raises `RecordNotFound`, also for the draft of another user."""
    statement = _of_user(user).where(IntegrationDraft.sys_id == draft_id)
    draft: IntegrationDraft | None = db.session.execute(statement).scalar_one_or_none()
    if draft is None:
        raise RecordNotFound
    return draft


def lock_draft(draft_id: str, user: str) -> IntegrationDraft:
    """Return a draft of a user, and lock it until the commit: of two requests that save it, one finds it gone.

    Raises `RecordNotFound`. Call it without an open transaction.
    """
    statement = _of_user(user).where(IntegrationDraft.sys_id == draft_id).with_for_update()
    locking = statement.execution_options(locks_rows=True, populate_existing=True)
    draft: IntegrationDraft | None = db.session.execute(locking).scalar_one_or_none()
    if draft is None:
        raise RecordNotFound
    return draft


def list_drafts(user: str) -> list[IntegrationDraft]:
    """Return the drafts of a user, newest first."""
    return list(db.session.execute(_of_user(user)).scalars())


def content_of(draft: IntegrationDraft) -> dict[str, Any]:
    """Return the content of a draft."""
    content: dict[str, Any] = json.loads(draft.content)
    return content


def change_draft(draft: IntegrationDraft, content: Mapping[str, Any]) -> None:
    """Replace the content of a draft; raises `InputInvalid` if it is too long."""
    draft.content = _packed(content)
    db.session.flush()


def discard_draft(draft: IntegrationDraft) -> None:
    """Delete a draft."""
    db.session.delete(draft)
    db.session.flush()


purge_drafts = deletes(
    "integrations.purge_drafts",
    "expired drafts of integrations",
    IntegrationDraft.sys_id,
    lambda at: IntegrationDraft.expires_at <= at,
)


def _of_user(user: str) -> Any:
    is_current = IntegrationDraft.expires_at > now()
    newest = (IntegrationDraft.created_at.desc(), IntegrationDraft.sys_id)
    return select(IntegrationDraft).where(IntegrationDraft.user == user, is_current).order_by(*newest)


def _packed(content: Mapping[str, Any]) -> str:
    packed = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if len(packed) > MOST_DRAFT_CHARACTERS:
        raise InputInvalid({"pasted": [TOO_LONG]})
    return packed
