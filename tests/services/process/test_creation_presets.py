"""What a new change has of its template and its model."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.errors import OperationFailed
from changegate.extensions import db
from changegate.models import ChgModel
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.process.creation_presets import find_model_of_type, find_type_of_model
from changegate.services.standard_changes.content import parse_preset
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.services.standard_changes.template_records import add_template, retire
from tests.support.people import ROOT

CHANGES = get_table("change_request")
TEMPLATE = "short_description=Clear sessions^description=One ^^ after the other, a=b^priority=2^EQ"


@pytest.fixture
def template(either_app: Flask) -> Iterator[str]:
    with either_app.app_context():
        version = add_template("Clear BGP sessions", TEMPLATE)
        db.session.commit()
        yield version


def create(**sent: Any) -> Any:
    return create_record(CHANGES, ROOT, sent)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("^EQ", {}),
        ("a=1^b=2^EQ", {"a": "1", "b": "2"}),
        ("a=x=y", {"a": "x=y"}),
        ("a=1^^2^b=", {"a": "1^2", "b": ""}),
        ("state=3^chg_model=x^std_change_producer_version=y^a=1", {"a": "1"}),
        ("no pair^a=1", {"a": "1"}),
    ],
)
def test_reads_presets_as_an_encoded_query(text: str, values: dict[str, str]) -> None:
    assert parse_preset(text) == values


def test_a_template_fills_in_fields_that_were_not_sent(template: str) -> None:
    created = create(std_change_producer_version=template, description="mine", priority="4")
    assert created["short_description"] == "Clear sessions"
    assert created["description"] == "mine"
    assert created["priority"] == 4  # the default, but it was said
    assert (created["type"], created["chg_model"]) == ("standard", MODELS_OF_TYPES["standard"])
    assert created["state"] == -5


def test_a_template_s_values_are_parsed_like_those_of_a_request(template: str) -> None:
    created = create(std_change_producer_version="clear bgp SESSIONS - 1")
    assert created["std_change_producer_version"] == template
    assert (created["priority"], created["description"]) == (2, "One ^ after the other, a=b")


def test_a_field_that_was_sent_empty_comes_from_the_template(template: str) -> None:
    assert create(std_change_producer_version=template, short_description="")["short_description"] == "Clear sessions"


@pytest.mark.parametrize(
    ("impact", "urgency", "priority"),
    [(1, 1, 1), (1, 2, 2), (2, 1, 2), (1, 3, 3), (2, 2, 3), (3, 1, 3), (2, 3, 4), (3, 2, 4), (3, 3, 4)],
)
def test_impact_and_urgency_make_the_priority(template: str, impact: int, urgency: int, priority: int) -> None:
    assert create(impact=impact, urgency=urgency)["priority"] == priority


def test_impact_or_urgency_alone_is_combined_with_the_default_of_the_other(template: str) -> None:
    assert [create(**{name: "1"})["priority"] for name in ("impact", "urgency")] == [3, 3]
    assert create(impact="1", urgency="", priority="")["priority"] == 3


def test_a_given_priority_is_kept(template: str) -> None:
    created = create(impact="1", urgency="1", priority="4")
    assert created["priority"] == 4
    update_record(CHANGES, ROOT, created["sys_id"], {"impact": "2"})
    updated = update_record(CHANGES, ROOT, created["sys_id"], {"state": "4"})
    assert updated[CHANGES.fields_for(ROOT.permissions).index("priority")] == 4


def test_a_template_s_priority_stands_before_that_of_impact_and_urgency(template: str) -> None:
    assert create(std_change_producer_version=template, impact="1", urgency="1")["priority"] == 2


def test_a_template_is_copied_once(template: str) -> None:
    sys_id = create(std_change_producer_version=template)["sys_id"]
    update_record(CHANGES, ROOT, sys_id, {"short_description": "mine now"})
    again = {"std_change_producer_version": template}
    record = dict(zip(CHANGES.fields_for(ROOT.permissions), update_record(CHANGES, ROOT, sys_id, again), strict=True))
    assert (record["short_description"], record["sys_mod_count"]) == ("mine now", 1)


def test_an_inactive_template_makes_no_change(template: str) -> None:
    retire("Clear BGP sessions")
    with pytest.raises(OperationFailed) as refusal:
        create(std_change_producer_version=template)
    assert (refusal.value.detail or "").startswith("The standard change template Clear BGP sessions is retired. ")


def test_a_change_is_scheduled_only_while_its_template_is_active(template: str) -> None:
    group = create_record(get_table("sys_user_group"), ROOT, {"name": "Network"})["sys_id"]
    first, second = (create(std_change_producer_version=template, assignment_group=group)["sys_id"] for _ in range(2))
    update_record(CHANGES, ROOT, first, {"state": "-2"})
    retire("Clear BGP sessions")
    with pytest.raises(OperationFailed) as refusal:
        update_record(CHANGES, ROOT, second, {"state": "-2"})
    assert "Create the change from an active standard change template" in (refusal.value.detail or "")


@pytest.mark.parametrize("change_type", ["normal", "standard", "emergency"])
def test_type_and_model_follow_each_other(template: str, change_type: str) -> None:
    by_type, by_model = create(type=change_type), create(chg_model=change_type)
    assert by_type["chg_model"] == by_model["chg_model"] == MODELS_OF_TYPES[change_type]
    assert by_type["type"] == by_model["type"] == change_type


def test_a_change_without_a_type_is_normal(template: str) -> None:
    created = create()
    assert (created["type"], created["chg_model"]) == ("normal", MODELS_OF_TYPES["normal"])


@pytest.fixture
def copied(template: str) -> str:
    """A model of a site that sets the type of its changes."""
    model = ChgModel(name="Urgent", record_preset="type=emergency^EQ")
    db.session.add(model)
    db.session.commit()
    return model.name


@pytest.mark.parametrize(
    ("model", "change_type"), [("Emergency", "normal"), ("Normal", "emergency"), ("Urgent", "normal")]
)
def test_a_type_other_than_that_of_the_model_is_refused(copied: str, model: str, change_type: str) -> None:
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        create(type=change_type, chg_model=model)
    assert (refusal.value.detail or "").startswith("type: the model of this change sets the type ")


def test_an_update_to_another_type_than_that_of_the_model_is_refused(copied: str) -> None:
    emergency = create(type="emergency")["sys_id"]
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        update_record(CHANGES, ROOT, emergency, {"type": "normal", "chg_model": copied})
    assert refusal.value.detail == (
        "type: the model of this change sets the type emergency. Send this type, or another model"
    )


def test_the_type_of_a_template_or_of_unauthorized_work_must_be_that_of_the_model(template: str) -> None:
    with pytest.raises(OperationFailed):
        create(chg_model="Emergency", std_change_producer_version=template)
    with pytest.raises(OperationFailed):
        create(chg_model="Normal", unauthorized="true")


def test_a_model_and_its_own_type_are_accepted_together(copied: str) -> None:
    for model in ("Emergency", copied):
        created = create(type="emergency", chg_model=model)
        update_record(CHANGES, ROOT, created["sys_id"], {"type": "emergency", "chg_model": model})
        assert created["type"] == "emergency"


def test_a_custom_model_presets_its_changes(template: str) -> None:
    model = ChgModel(name="Firewall", record_preset="type=standard^category=Network^EQ")
    db.session.add(model)
    db.session.commit()
    created = create(chg_model="firewall")
    assert (created["type"], created["category"]) == ("standard", "Network")
    assert find_type_of_model(model.sys_id) == "standard"
    assert find_model_of_type("FIREWALL") == model.sys_id
    assert find_model_of_type("unheard of") is None


def test_an_update_keeps_type_and_model_in_step(template: str) -> None:
    sys_id = create()["sys_id"]

    def updated(**sent: str) -> tuple[str, str]:
        row = update_record(CHANGES, ROOT, sys_id, sent)
        record = dict(zip(CHANGES.fields_for(ROOT.permissions), row, strict=True))
        return record["type"], record["chg_model"]

    assert updated(type="emergency") == ("emergency", MODELS_OF_TYPES["emergency"])
    assert updated(chg_model="Normal") == ("normal", MODELS_OF_TYPES["normal"])


def test_an_inactive_model_makes_no_change_and_is_not_chosen_later(template: str) -> None:
    db.session.add(ChgModel(name="Firewall", active=False))
    db.session.commit()
    with pytest.raises(OperationFailed) as refusal:
        create(chg_model="firewall")
    assert refusal.value.detail == "Model Firewall is not active"
    with pytest.raises(OperationFailed):
        update_record(CHANGES, ROOT, create()["sys_id"], {"chg_model": "Firewall"})
