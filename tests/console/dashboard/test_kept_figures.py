"""The figures of an instance with many changes, which a job stores."""

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit
from changegate.extensions import db, now
from changegate.models import ChangeRequest, DashboardFigures, OAuthEntity
from changegate.services.dashboard import kept
from changegate.services.tables.reading import aggregates
from tests.conftest import Clock
from tests.console.conftest import MakeChange, SignIn
from tests.console.dashboard.test_dashboard import fill, numbers_in
from tests.console.visitor import Visitor

PEOPLE = "Created by people in 90 days"


def keep(app: Flask) -> bool:
    """Run the job, and return whether there are kept figures."""
    with app.app_context():
        kept.keep_figures(now())
        commit()
        return db.session.scalar(select(DashboardFigures.id)) is not None


@pytest.fixture
def large_desk(app: Flask, make_change: MakeChange, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An instance that has more changes than are read at once."""
    monkeypatch.setattr(kept, "MOST_READ_AT_ONCE", 2)
    fill(app, make_change)
    return app


def test_the_figures_of_a_small_desk_are_those_of_now(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    fill(app, make_change)
    assert not keep(app)
    text = admin.open("/dashboard").text
    assert ("as of" in text, numbers_in(text)[PEOPLE][0]) == (False, 4)


def test_a_large_desk_shows_the_same_figures_as_of_a_time(large_desk: Flask, admin: Visitor, clock: Clock) -> None:
    before = numbers_in(admin.open("/dashboard").text)
    assert keep(large_desk)
    with large_desk.app_context():
        read_at = db.session.scalars(select(DashboardFigures.read_at)).one()
    clock.advance(minutes=3)
    after = admin.open("/dashboard").text
    assert numbers_in(after) == before
    assert f"that you may read, as of {read_at:%Y-%m-%d %H:%M}." in after


def test_new_changes_are_counted_by_the_next_run(large_desk: Flask, admin: Visitor, make_change: MakeChange) -> None:
    keep(large_desk)
    make_change(short_description="x")
    assert numbers_in(admin.open("/dashboard").text)[PEOPLE][0] == 4
    keep(large_desk)
    assert numbers_in(admin.open("/dashboard").text)[PEOPLE][0] == 5


def test_users_of_few_records_never_see_the_figures_of_all(
    large_desk: Flask, sign_in: SignIn, make_change: MakeChange
) -> None:
    keep(large_desk)
    nora = sign_in("nora")
    make_change(short_description="y", requested_by="nora", risk="3")
    text = nora.open("/dashboard").text
    assert ("as of" in text, numbers_in(text)[PEOPLE][0]) == (False, 1)


def test_figures_without_a_worker_are_read_again_after_an_hour(
    large_desk: Flask, admin: Visitor, make_change: MakeChange, clock: Clock
) -> None:
    keep(large_desk)
    make_change(short_description="x")
    clock.advance(seconds=kept.LONGEST_KEPT.total_seconds() + 1)
    text = admin.open("/dashboard").text
    assert ("as of" in text, numbers_in(text)[PEOPLE][0]) == (False, 5)


def test_figures_of_the_future_are_not_shown_after_the_clock_was_set_back(
    large_desk: Flask, admin: Visitor, clock: Clock
) -> None:
    keep(large_desk)
    clock.advance(minutes=-4)
    assert "as of" in admin.open("/dashboard").text
    clock.advance(minutes=-2)
    assert "as of" not in admin.open("/dashboard").text


def test_figures_of_a_version_with_other_charts_are_left_alone(
    large_desk: Flask, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other_version:
        other_version.setattr(kept, "NUMBERS", {})
        other_version.setattr(kept, "asdict", lambda _figures: {"bars": {}})
        keep(large_desk)
    assert "as of" not in admin.open("/dashboard").text
    keep(large_desk)
    assert "as of" in admin.open("/dashboard").text
    with large_desk.app_context():
        assert len(db.session.scalars(select(DashboardFigures.id)).all()) == 2


def test_any_number_of_integrations_may_have_created_changes(
    app: Flask, admin: Visitor, make_change: MakeChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregates, "MAX_GROUPS", 2)
    for _ in range(3):
        sys_id = make_change(short_description="x")
        with app.app_context():
            entity = OAuthEntity(name=sys_id, type="client_credentials", client_id=sys_id)
            db.session.add(entity)
            db.session.flush()
            db.session.get_one(ChangeRequest, sys_id).oauth_entity = entity.sys_id
            db.session.commit()
    assert numbers_in(admin.open("/dashboard").text)["Created by automation in 90 days"][0] == 3
