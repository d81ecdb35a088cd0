"""The mapping of subjects to users."""

import pytest
from sqlalchemy import update

from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.oauth.events import report_of
from tests.support.token_desk import TokenDesk


def _user_of(desk: TokenDesk, field: str, subject: str) -> str | None:
    integration = desk.register(f"By {field}", run_as=..., user_field=field)
    answer = desk.exchange(integration, assertion=desk.assertion(sub=subject))
    if answer.status_code != 200:
        return desk.last_event().reason
    created = desk.call(answer.get_json()["access_token"])
    name: str = created.get_json()["result"]["sys_created_by"]
    return name


@pytest.mark.parametrize(
    ("field", "columns", "subject"),
    [
        ("email", {"email": "builder@example.com"}, "builder@example.com"),
        ("user_name", {}, "builder"),
        ("employee_number", {"employee_number": "4711"}, "4711"),
    ],
)
def test_the_subject_is_compared_with_the_field_of_the_form(
    desk: TokenDesk, field: str, columns: dict[str, str], subject: str
) -> None:
    desk.add_user("builder", "itil", **columns)

    assert _user_of(desk, field, subject) == "builder"


def test_a_sys_id_can_be_the_subject(desk: TokenDesk) -> None:
    assert _user_of(desk, "sys_id", desk.add_user("builder", "itil")) == "builder"


@pytest.mark.parametrize("subject", ["Builder", "b", "%", "builder@example.com", "bu\u0131lder"])
def test_the_subject_is_compared_exactly(desk: TokenDesk, subject: str) -> None:
    desk.add_user("builder", "itil")

    assert _user_of(desk, "user_name", subject) == "sub_unmapped"


def test_an_empty_column_matches_no_subject(desk: TokenDesk) -> None:
    desk.add_user("builder", "itil", email=None)
    desk.add_user("other", "itil", email="")

    assert _user_of(desk, "email", "") != "other"


def test_a_subject_that_matches_two_users_is_refused(desk: TokenDesk) -> None:
    for name in ("one", "two"):
        desk.add_user(name, "itil", employee_number="7")

    assert _user_of(desk, "employee_number", "7") == "sub_ambiguous"


def test_an_integration_without_a_subject_rule_refuses(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.set(integration, run_as=None)

    assert desk.exchange(integration).status_code == 400


def _change(desk: TokenDesk, user: str, columns: dict[str, bool]) -> None:
    """Write columns of a user as another process would."""
    with desk.app.app_context():
        db.session.execute(update(SysUser).where(SysUser.sys_id == user).values(sys_mod_count=1, **columns))
        db.session.commit()


def _received(desk: TokenDesk) -> str | None:
    """Return what the latest exchange says of its user."""
    event = desk.last_event()
    assert event is not None
    [rule] = [rule for rule in report_of(event) if rule.rule == "user"]
    return rule.received


@pytest.mark.parametrize(
    ("columns", "received"),
    [
        ({}, "builder"),
        ({"active": False}, "builder, inactive"),
        ({"locked_out": True}, "builder, locked out"),
        ({"email": "another@example.com"}, "b@example.com"),
    ],
)
def test_the_event_shows_the_user_or_the_value_that_matched_no_user(
    desk: TokenDesk, columns: dict[str, object], received: str
) -> None:
    desk.add_user("builder", "itil", **{"email": "b@example.com", **columns})
    _user_of(desk, "email", "b@example.com")

    assert _received(desk) == received


@pytest.mark.parametrize(
    ("columns", "received"),
    [
        ({}, "active"),
        ({"active": False}, "inactive or locked out"),
        ({"locked_out": True}, "inactive or locked out"),
    ],
)
def test_the_event_shows_the_state_of_the_run_as_account(
    desk: TokenDesk, columns: dict[str, bool], received: str
) -> None:
    builder = desk.add_user("builder", "itil")
    integration = desk.register(run_as="builder")
    _change(desk, builder, columns)
    desk.exchange(integration)

    assert _received(desk) == received


@pytest.mark.parametrize(("columns", "received"), [({}, "active"), ({"locked_out": True}, "inactive or locked out")])
def test_the_event_of_client_credentials_shows_the_state_of_the_run_as_account(
    desk: TokenDesk, columns: dict[str, bool], received: str
) -> None:
    builder = desk.add_user("builder", "itil")
    machine = desk.register_as("client_credentials", run_as="builder")
    _change(desk, builder, columns)
    desk.send({"grant_type": "client_credentials", **machine.credentials})

    assert _received(desk) == received
