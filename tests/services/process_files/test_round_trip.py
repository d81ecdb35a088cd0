"""Any process that is exported and applied to an empty instance is exported as the same bytes."""

from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from changegate.database import rollback
from changegate.models.change_request import CHANGE_STATES
from changegate.yaml_text import render_yaml
from tests.services.process_files.process_texts import actions, apply, export

PRINTABLE = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])
NAMES = st.one_of(
    st.text(PRINTABLE, min_size=1, max_size=30),
    st.sampled_from(
        ["no", "1.5", "- x", "a: b", "#", "'", '"', "two\nlines", " x", "x ", "~", "null", "\N{SNOWMAN}", "{}"]
    ),
).filter(lambda name: name != "")
LABELS = st.one_of(st.sampled_from(["New", "Open", "-5", "3"]), st.text(PRINTABLE, min_size=1, max_size=10))
ORDERS = st.integers(0, 3)
CONDITIONS = st.sampled_from(
    [
        "risk=4",
        "approval=approved^task.active=0",
        "short_descriptionLIKE'a\"b",
        "type=normal^ORtype=emergency",
        "on_hold!=true",
    ]
)
TEXTS = st.one_of(st.none(), st.text(st.sampled_from("ab \n\r\t:#'\"-\u00e9"), max_size=40))
VALUES = st.sets(st.sampled_from(sorted(map(int, CHANGE_STATES))), min_size=2, max_size=6)


def rows(**fields: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries(fields), max_size=3)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Return a model that may be active: its states follow each other, and automatic moves lead forward only."""
    values = draw(st.permutations(sorted(draw(VALUES))))
    states = [
        {"state_value": value, "state_label": draw(LABELS), "initial": at == 0, "order": draw(ORDERS)}
        for at, value in enumerate(values)
    ]
    moves = [(at, at + 1) for at in range(len(values) - 1)]
    pairs = st.tuples(st.integers(0, len(values) - 2), st.integers(1, len(values) - 1))
    moves += [pair for pair in draw(st.lists(pairs, max_size=3)) if pair[0] < pair[1]]
    conditions = rows(name=NAMES, condition=CONDITIONS, description=NAMES, order=ORDERS)
    transitions = [
        {
            "name": draw(NAMES),
            "from_state": str(values[start]),
            "to_state": str(values[end]),
            "automatic_transition": draw(st.booleans()),
            "order": draw(ORDERS),
            "conditions": draw(conditions),
        }
        for start, end in moves
    ]
    fields = {"active": draw(st.booleans()), "description": draw(TEXTS), "color": draw(st.none() | LABELS)}
    return {**fields, "states": states, "transitions": transitions}


RULES = st.one_of(
    st.fixed_dictionaries({"approver_source": st.just("group"), "group": st.just("CAB Approval")}),
    st.fixed_dictionaries({"approver_source": st.just("users"), "users": st.just(["admin"])}),
    st.fixed_dictionaries({"approver_source": st.just("field"), "approver_field": st.just("assigned_to")}),
    st.fixed_dictionaries({"approver_source": st.just("claims"), "condition": st.just("source_ref=refs/heads/main")}),
)
NAMED_RULES = st.builds(
    lambda rule, fields: {**rule, **fields},
    RULES,
    st.fixed_dictionaries({"name": NAMES, "order": ORDERS, "allows_requester": st.booleans()}),
)
POLICIES = st.fixed_dictionaries(
    {
        "active": st.booleans(),
        "state": st.sampled_from([-4, -3]),
        "order": ORDERS,
        "condition": st.none() | CONDITIONS,
        "description": TEXTS,
        "rules": st.lists(NAMED_RULES, min_size=1, max_size=3),
    }
)


TIMES = st.sampled_from(
    [
        {"start_date_time": "2026-12-24 00:00:00", "end_date_time": "2026-12-24 20:00:00"},
        {"start_date_time": "2026-03-29 02:30:00", "end_date_time": "2026-03-29 03:30:00", "repeat_type": "yearly"},
        {"start_date_time": "2026-01-05 22:00:00", "end_date_time": "2026-01-06 04:00:00", "repeat_type": "daily"},
    ]
)
SPANS = st.builds(
    lambda times, fields: {**times, **fields},
    TIMES,
    st.fixed_dictionaries({"name": st.none() | NAMES, "type": st.sampled_from(["include", "exclude"])}),
)
SCHEDULES = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(["Europe/Berlin", "Etc/UTC"]),
        "active": st.booleans(),
        "description": TEXTS,
        "spans": st.lists(SPANS, max_size=3),
    }
)


RISK_CONDITIONS = st.fixed_dictionaries(
    {
        "risk": st.integers(2, 4),
        "condition": st.sampled_from([None, "category=Software"]),
        "order": ORDERS,
        "active": st.booleans(),
    }
)
TEMPLATES = st.fixed_dictionaries(
    {
        "description": TEXTS,
        "template": st.builds("short_description={}^EQ".format, st.text(st.sampled_from("ab: #'\"="), min_size=1)),
        "mandatory_fields": st.none() | st.just("cmdb_ci,assigned_to"),
    }
)


@st.composite
def processes(draw: st.DrawFn) -> str:
    """Return a file with some models and policies, which may belong to one of the models."""
    names = st.lists(NAMES, max_size=3, unique_by=str.lower)
    of_models = [{"name": name, **draw(models())} for name in draw(names)]
    known = st.sampled_from([None, "Normal", *(f"{each['name']}" for each in of_models)])
    of_policies = [{"name": name, "chg_model": draw(known), **draw(POLICIES)} for name in draw(names)]
    of_schedules = [{"name": name, **draw(SCHEDULES)} for name in draw(names)]
    half = len(of_schedules) // 2
    freezes = [{**each, "change_types": draw(st.none() | st.just("normal"))} for each in of_schedules[:half]]
    lists = {"models": of_models, "freezes": freezes, "maintenance": of_schedules[half:], "policies": of_policies}
    lists["risk_conditions"] = [{"name": name, **draw(RISK_CONDITIONS)} for name in draw(names)]
    lists["templates"] = [{"name": name, **draw(TEMPLATES)} for name in draw(names)]
    return render_yaml(lists)


@given(processes())
@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_an_export_is_applied_to_an_empty_instance_and_exported_as_the_same_bytes(app: Flask, text: str) -> None:
    with app.app_context():
        apply(text)
        exported = export()
        assert {action for _, action in actions(exported)} <= {"keep"}
        assert {action for _, action in actions(text)} <= {"keep"}
        rollback()
        # What the first start adds is there already.
        assert {action for _, action in actions(exported)} <= {"create", "keep"}
        assert export() == exported
        rollback()
