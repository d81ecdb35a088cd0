"""How old a client secret is: recorded when it is made, and carried over where it can be known."""

from datetime import datetime

import flask_migrate
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.integrations.integrations import get_integration, rotate_secret, set_active
from tests.conftest import Clock
from tests.support.token_desk import Integration, TokenDesk


def made_at(integration: Integration) -> datetime | None:
    db.session.rollback()
    statement = select(OAuthEntity.client_secret_created_at).where(OAuthEntity.sys_id == integration.sys_id)
    return db.session.execute(statement).scalar_one()


def test_a_rotation_makes_the_secret_young_again(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register()
    first = made_at(integration)
    clock.advance(days=10)
    rotate_secret(get_integration(integration.client_id), by="admin")
    db.session.commit()
    second = made_at(integration)
    assert first is not None and second is not None
    assert (second - first).days in (9, 10)


def test_a_public_client_has_none(desk: TokenDesk) -> None:
    assert made_at(desk.register(public_client=True)) is None


def test_migrating_takes_the_secret_of_what_was_never_changed_for_as_old_as_it(either_desk: TokenDesk) -> None:
    with either_desk.app.app_context():
        kept, changed = either_desk.register("Kept"), either_desk.register("Changed")
        public = either_desk.register("Public", public_client=True)
        set_active(get_integration(changed.client_id), False, by="admin")
        db.session.commit()
        created_on = get_integration(kept.client_id).sys_created_on
        db.session.remove()
        flask_migrate.downgrade(revision="0008")
        flask_migrate.upgrade()
        assert [made_at(one) for one in (kept, changed, public)] == [created_on, None, None]
        db.session.remove()
