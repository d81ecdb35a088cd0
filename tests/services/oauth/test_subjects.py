"""Whom a subject names."""

import pytest

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


def test_an_empty_column_matches_nobody(desk: TokenDesk) -> None:
    desk.add_user("builder", "itil", email=None)
    desk.add_user("other", "itil", email="")

    assert _user_of(desk, "email", "") != "other"


def test_two_users_are_one_too_many(desk: TokenDesk) -> None:
    for name in ("one", "two"):
        desk.add_user(name, "itil", employee_number="7")

    assert _user_of(desk, "employee_number", "7") == "sub_ambiguous"


def test_an_integration_without_a_subject_rule_acts_as_nobody(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.set(integration, run_as=None)

    assert desk.exchange(integration).status_code == 400
