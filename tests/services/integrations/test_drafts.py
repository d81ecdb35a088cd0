"""Drafts of integrations, on both databases."""

import json

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import IntegrationDraft, SysUser
from changegate.services.integrations.drafts import (
    DRAFTS_KEPT_FOR,
    MOST_DRAFT_CHARACTERS,
    MOST_DRAFTS,
    change_draft,
    content_of,
    discard_draft,
    get_draft,
    list_drafts,
    lock_draft,
    start_draft,
)
from changegate.services.users.accounts import create_user
from tests.conftest import Clock
from tests.support.jobs import run_due_jobs


def user(name: str) -> str:
    """Return the sys_id of a new user."""
    made = create_user(user_name=name, password=None, email=None, name=None, roles=[])
    return made.sys_id


def stored() -> int:
    """Return how many drafts are stored."""
    return int(db.session.execute(select(func.count()).select_from(IntegrationDraft)).scalar_one())


def test_only_its_owner_sees_a_draft(either_app: Flask) -> None:
    with either_app.app_context():
        ann, bob = user("ann"), user("bob")
        draft = start_draft(ann, {"answers": {"name": "Größe"}})
        db.session.commit()
        assert content_of(get_draft(draft.sys_id, ann)) == {"answers": {"name": "Größe"}}
        for draft_id, owner in ((draft.sys_id, bob), ("0" * 32, ann), ("\x1f'", ann)):
            with pytest.raises(RecordNotFound):
                get_draft(draft_id, owner)
        assert lock_draft(draft.sys_id, ann).sys_id == draft.sys_id
        with pytest.raises(RecordNotFound):
            lock_draft(draft.sys_id, bob)
        assert [found.sys_id for found in list_drafts(ann)] == [draft.sys_id]
        assert list_drafts(bob) == []


def test_a_draft_is_changed_and_discarded(either_app: Flask) -> None:
    with either_app.app_context():
        ann = user("ann")
        draft = start_draft(ann, {})
        change_draft(draft, {"answers": {"waived": True}})
        db.session.commit()
        db.session.expire_all()
        assert content_of(get_draft(draft.sys_id, ann)) == {"answers": {"waived": True}}
        discard_draft(draft)
        db.session.commit()
        assert stored() == 0


def test_a_draft_ends_after_a_week_and_is_purged(either_app: Flask) -> None:
    clock = either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        ann = user("ann")
        draft = start_draft(ann, {})
        db.session.commit()
        clock.advance(seconds=DRAFTS_KEPT_FOR.total_seconds() + 1)
        assert list_drafts(ann) == []
        with pytest.raises(RecordNotFound):
            get_draft(draft.sys_id, ann)
        start_draft(ann, {})
        db.session.commit()
        assert stored() == 2
        run_due_jobs(either_app, "integrations.purge_drafts")
        assert stored() == 1


def test_a_user_has_so_many_drafts_and_the_oldest_go(either_app: Flask) -> None:
    clock = either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        ann, bob = user("ann"), user("bob")
        start_draft(bob, {})
        for number in range(MOST_DRAFTS + 2):
            clock.advance(seconds=1)
            start_draft(ann, {"number": number})
        db.session.commit()
        assert [content_of(draft)["number"] for draft in list_drafts(ann)] == [*range(MOST_DRAFTS + 1, 1, -1)]
        assert stored() == MOST_DRAFTS + 1


def test_a_draft_has_a_greatest_size(either_app: Flask) -> None:
    with either_app.app_context():
        ann = user("ann")
        longest = {"x": "y" * (MOST_DRAFT_CHARACTERS - len(json.dumps({"x": ""}, separators=(",", ":"))))}
        draft = start_draft(ann, longest)
        for write in (lambda: start_draft(ann, {**longest, "z": 1}), lambda: change_draft(draft, {**longest, "z": 1})):
            with pytest.raises(InputInvalid, match="longer than"):
                write()


def test_the_drafts_of_a_user_go_with_the_user(either_app: Flask) -> None:
    with either_app.app_context():
        ann = user("ann")
        start_draft(ann, {})
        db.session.commit()
        db.session.execute(delete(SysUser).where(SysUser.sys_id == ann))
        db.session.commit()
        assert stored() == 0
