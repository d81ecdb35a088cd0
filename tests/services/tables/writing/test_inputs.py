"""From the fields of a request to values, on both databases: docs/reference/table-api.md#writes."""

from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from changegate.database import connection
from changegate.errors import ChangegateError, RequestUnreadable
from changegate.extensions import db
from changegate.models import SysChoice
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.inputs import changed_values
from changegate.services.tables.writing.records import create_record, update_record
from tests.support.people import ADMIN, ROOT
from tests.support.statements import counted_statements

CHANGES = get_table("change_request")
CHOICES = get_table("sys_choice")
FIELDS = st.sampled_from([*CHANGES.entries, *CHANGES.journal_fields, "SYS_ID", "bunk"]) | st.text()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", "true", ADMIN])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "link"]), inner, max_size=2),
)


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    return getattr(request, "param", {})


def read(fields: dict[str, Any], current: dict[str, Any] | None = None, **options: bool) -> dict[str, Any]:
    return changed_values(CHANGES, ROOT, fields, current or {}, **{"by_display": False, **options})


def refusal(fields: dict[str, Any], **options: bool) -> str:
    with pytest.raises(RequestUnreadable) as refused:
        read(fields, **options)
    return str(refused.value.detail)


def add_choice(**fields: Any) -> None:
    create_record(CHOICES, ROOT, {"name": "change_request", "element": "category", "language": "en"} | fields)


def test_choices_are_the_rows_of_the_choice_table(at_work: Flask) -> None:
    assert refusal({"category": "Cloud"}).startswith("Field category: it is not one of the choices ")
    add_choice(value="Cloud", label="Cloud services")
    assert read({"category": "cloud"}) == {"category": "Cloud"}
    row = connection().execute(CHOICES.source.select().where(SysChoice.value == "Cloud")).one()
    update_record(CHOICES, ROOT, row.sys_id, {"inactive": True})
    assert refusal({"category": "Cloud"}).startswith("Field category: it is not one of the choices ")


def test_a_choice_that_is_inactive_by_now_may_be_written_back(at_work: Flask) -> None:
    db.session.execute(SysChoice.__table__.update().values(inactive=True))
    assert "it is not one of the choices" in refusal({"category": "Network"})
    assert (
        read({"category": "Network", "risk": 2, "priority": "3"}, {"category": "Network", "risk": 2, "priority": 3})
        == {}
    )


def test_labels_are_choices_only_where_display_values_are_sent(at_work: Flask) -> None:
    labels = {"priority": "1 - critical", "risk": " High ", "state": "Assess", "phase_state": "Work in progress"}
    values = {"priority": 1, "risk": 2, "state": -4, "phase_state": "work in progress"}
    assert read(labels, by_display=True) == values
    assert read({name: str(value) for name, value in values.items()}, by_display=True) == values
    for name in ("priority", "risk", "state"):
        assert refusal({name: labels[name]}).startswith(f"Field {name}: ")
    assert refusal({"priority": "1 - Highest"}, by_display=True).startswith("Field priority: ")


def test_a_label_wins_over_a_value_of_the_same_text(at_work: Flask) -> None:
    add_choice(value="A", label="B")
    add_choice(value="B", label="C")
    assert read({"category": "B"}, by_display=True) == {"category": "A"}
    assert read({"category": "B"}) == {"category": "B"}


@pytest.mark.parametrize("settings", [{"choice_allow_non_existing_value": "1"}], indirect=True)
def test_a_setting_allows_values_that_are_not_choices(app: Flask) -> None:
    with app.app_context():
        assert read({"category": "Weather", "risk": "7"}) == {"category": "Weather", "risk": 7}
        assert read({"category": "network"}) == {"category": "Network"}
        assert refusal({"risk": "seven"}) == "Field risk: a whole number is expected"
        assert refusal({"category": "x" * 41}).startswith("Field category: 41 characters")


def test_all_choices_sent_are_looked_up_in_one_statement(at_work: Flask) -> None:
    with counted_statements() as statements:
        read({"category": "Network", "risk": "2", "type": "emergency", "state": -4})
    assert len(statements) == 1


def test_unchanged_values_and_fields_without_choices_need_no_statement(at_work: Flask) -> None:
    stored = {"type": "normal", "priority": 4, "assigned_to": ADMIN, "watch_list": ADMIN}
    with counted_statements() as statements:
        assert read({"short_description": "x", "state": "", **stored}, stored) == {"short_description": "x"}
    assert statements == []


def test_a_reference_to_a_hidden_or_deleted_record_may_be_written_back(at_work: Flask) -> None:
    gone = "0" * 32
    assert read({"assigned_to": gone, "watch_list": gone}, {"assigned_to": gone, "watch_list": gone}) == {}
    assert refusal({"assigned_to": gone}) == "Field assigned_to: no record of sys_user matches the value"


def test_objects_are_taken_as_records_are_read(at_work: Flask) -> None:
    assert read({"assigned_to": {"link": "x", "value": ADMIN}}) == {"assigned_to": ADMIN}
    assert read({"assigned_to": {"link": "x", "display_value": "admin"}}) == {"assigned_to": ADMIN}
    both = {"risk": {"display_value": "High", "value": "2"}, "on_hold": {"display_value": "true", "value": "true"}}
    assert read(both) == {"risk": 2, "on_hold": True}
    assert read({"description": {"display_value": "", "value": ""}}, {"description": "x"}) == {"description": None}


@examples(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.dictionaries(FIELDS, JSON, max_size=6), by_display=st.booleans())
def test_any_body_is_written_or_refused_with_a_sentence(at_work: Flask, sent: dict[str, Any], by_display: bool) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    for write in (
        lambda: create_record(CHANGES, ROOT, sent, input_display_value=by_display),
        lambda: update_record(CHANGES, ROOT, sys_id, sent, input_display_value=by_display),
    ):
        try:
            write()
        except ChangegateError as refused:
            assert refused.status in {400, 403}
            assert refused.detail
    db.session.rollback()
