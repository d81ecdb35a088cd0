"""What people are told ahead: freezes over the plans of their changes, and what integrations need soon."""

from datetime import datetime, timedelta

import pytest

from changegate.database import commit
from changegate.extensions import db, now
from changegate.models import JwtVerifierMap, OAuthEntity, SysCertificate
from changegate.services.notifications.upcoming import tell_of_expiries, tell_of_freezes
from tests.services.notifications.notified_desk import NotifiedDesk
from tests.support.jobs import stored_jobs

FORMAT = "%Y-%m-%d %H:%M:%S"


def freeze(desk: NotifiedDesk, starts_in_days: int, **sent: str) -> str:
    schedule = desk.create("cmn_schedule_blackout", name="Year end", time_zone="UTC", active="true", **sent)
    start = now_of(desk) + timedelta(days=starts_in_days)
    window = {"start_date_time": f"{start:{FORMAT}}", "end_date_time": f"{start + timedelta(days=5):{FORMAT}}"}
    desk.create("cmn_schedule_span", schedule=schedule, **window)
    return schedule


def now_of(desk: NotifiedDesk) -> datetime:
    with desk.app.app_context():
        return now()


def planned(desk: NotifiedDesk, in_days: float, **sent: str) -> str:
    start = now_of(desk) + timedelta(days=in_days)
    window = {"start_date": f"{start:{FORMAT}}", "end_date": f"{start + timedelta(hours=2):{FORMAT}}"}
    return desk.change("tom", requested_by="rita", assigned_to="tom", **window, **sent)


def test_people_are_told_once_of_a_freeze_over_the_plan_of_their_change(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    change = planned(desk, 8)
    assert desk.told("rita") == []
    freeze(desk, 7)
    assert desk.told("rita") == desk.told("tom") == ["Planned in a freeze: Year end"]
    assert desk.mails("rita") == [f"Planned in a freeze: {desk.number(change)}: Move a router"]
    later = now_of(desk) + timedelta(days=9)
    end = {"start_date": f"{later:{FORMAT}}", "end_date": f"{later + timedelta(hours=1):{FORMAT}}"}
    desk.update("change_request", change, "tom", **end)
    assert len(desk.told("rita")) == 2


def test_nothing_is_told_of_other_freezes(desk: NotifiedDesk) -> None:
    planned(desk, 1)
    planned(desk, 30)
    planned(desk, 8, assignment_group=desk.group("Network"))
    freeze(desk, 7, assignment_groups=desk.group("Storage"))
    assert desk.told("rita") == []


def test_a_freeze_that_is_told_is_not_enqueued_again(desk: NotifiedDesk) -> None:
    planned(desk, 8)
    freeze(desk, 7)
    desk.run()
    with desk.app.app_context():
        tell_of_freezes(now())
        commit()
    assert not stored_jobs(desk.app, "notifications.deliver")


@pytest.fixture
def entity(desk: NotifiedDesk) -> str:
    """An integration of Rita's whose review, previous secret, and certificate are due in a week."""
    with desk.app.app_context():
        at = now()
        soon = at + timedelta(days=7)
        entity = OAuthEntity(name="Deploy", client_id="0" * 32, type="jwt_bearer", owner=desk.users["rita"])
        entity.review_date, entity.previous_client_secret_expires_at = soon.date(), soon
        db.session.add(entity)
        db.session.flush()
        unused = dict.fromkeys(
            ("pem_certificate", "subject", "issuer", "serial_number", "fingerprint", "thumbprint"), ""
        )
        stored = SysCertificate(name="Signer", valid_from=at, expires=soon, **unused)
        db.session.add(JwtVerifierMap(entity=entity.sys_id, name="Signer", certificate=stored))
        commit()
        return entity.sys_id


def test_the_owner_of_an_integration_is_told_once_of_what_is_due(desk: NotifiedDesk, entity: str) -> None:
    with desk.app.app_context():
        day = db.session.get_one(OAuthEntity, entity).review_date
    assert desk.told("rita") == [
        f"Review of an integration due: {day}",
        f"Client secret expires: The previous secret expires on {day}.",
        f"Certificate expires: Signer expires on {day}.",
    ]
    assert desk.mails("rita")[0] == "Review of an integration due: Deploy"
    assert desk.told("max") == []
    with desk.app.app_context():
        tell_of_expiries(now())
        commit()
    assert not stored_jobs(desk.app, "notifications.deliver")


def test_the_members_of_an_owner_group_are_told(desk: NotifiedDesk, entity: str) -> None:
    group = desk.group("Platform", "eve", "rita")
    with desk.app.app_context():
        db.session.get_one(OAuthEntity, entity).owner_group = group
        commit()
    assert len(desk.told("eve")) == len(desk.told("rita")) == 3
    assert [entry.title for entry in desk.inbox("eve")] == ["Deploy"] * 3


def test_without_an_owner_the_administrators_of_integrations_are_told(desk: NotifiedDesk, entity: str) -> None:
    with desk.app.app_context():
        db.session.get_one(OAuthEntity, entity).owner = None
        commit()
    assert desk.told("rita") == []
    assert len(desk.told("admin")) == 3


def test_nothing_is_told_of_a_disabled_integration(desk: NotifiedDesk, entity: str) -> None:
    with desk.app.app_context():
        db.session.get_one(OAuthEntity, entity).active = False
        commit()
    assert desk.told("rita") == []
