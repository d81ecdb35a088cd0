"""Files of the process are applied completely or not at all, by the rules of the Table API, and only once."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import commit, connection, rollback
from changegate.errors import ChangegateError
from changegate.models import ChgHistory, ChgModel, ChgPolicyApproval
from changegate.services.process_documents.versions import current_version
from changegate.services.state_models.stored import get_model
from tests.services.approvals.asked_changes import add, add_group, edit
from tests.services.process_files.process_texts import (
    MODEL,
    PLANNING,
    POLICY,
    PROCESS,
    SCHEDULES,
    actions,
    apply,
    export,
    stored_rows,
)
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")


def refusal_of(text: str) -> str:
    """Return why a file is refused, and insist that nothing of it is stored."""
    before = stored_rows()
    with pytest.raises(ChangegateError) as refusal:
        apply(text)
    rollback()
    assert stored_rows() == before
    return refusal.value.detail or refusal.value.message


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def sys_id_of(table: Any, name: str) -> str:
    return str(connection().execute(select(table.sys_id).where(table.name == name)).scalar_one())


def test_a_file_creates_records_with_their_rows() -> None:
    assert actions(PROCESS) == [("Network", "create"), ("Night shift", "create")]
    model = get_model(sys_id_of(ChgModel, "Network"))
    assert model is not None
    assert {(move.name, move.from_state, move.to_state, move.is_automatic) for move in model.transitions} == {
        ("Request approval", -5, -4, False),
        ("Approved", -4, 3, True),
    }
    row = connection().execute(select(ChgPolicyApproval).where(ChgPolicyApproval.name == "Night shift")).one()
    assert (row.active, row.chg_model, row.order) == (True, sys_id_of(ChgModel, "Network"), 10)


def test_a_second_application_stamps_nothing() -> None:
    apply(PROCESS)
    commit()
    before, version = stored_rows(), current_version()
    entries = connection().execute(select(ChgHistory.sys_id)).all()
    assert actions(PROCESS) == [("Network", "keep"), ("Night shift", "keep")]
    commit()
    assert (stored_rows(), current_version()) == (before, version)
    assert connection().execute(select(ChgHistory.sys_id)).all() == entries


def test_only_what_differs_is_written() -> None:
    apply(PROCESS)
    before = stored_rows()
    [model, policy] = apply(PROCESS.replace("approval=approved", "approval=approved^risk=4"))
    assert (policy.action, model.changes) == ("keep", {})
    [transition] = model.parts
    [condition] = transition.parts
    assert condition.changes == {"condition": ("approval=approved", "approval=approved^risk=4")}
    # The model is inactive while its rows are written, by the rules of models.
    assert {table for table, row in stored_rows() if (table, row) not in before} == {
        "chg_model",
        "sttrm_transition_condition",
    }


def test_rows_that_are_left_out_are_deleted() -> None:
    apply(PROCESS)
    rule = POLICY[POLICY.index("      - name: Administrator") :]
    [_, policy] = apply(PROCESS.replace(rule, ""))
    assert [(kind.noun, row.name) for kind, row in policy.removed] == [("rule", "Administrator")]
    assert "Administrator" not in export()


def test_a_state_can_be_replaced_together_with_its_transitions() -> None:
    apply(MODEL)
    parked = MODEL.replace("-4, state_label: Assess", "-2, state_label: Parked").replace(": Assess\n", ": Parked\n")
    assert actions(parked) == [("Network", "change")]
    model = get_model(sys_id_of(ChgModel, "Network"))
    assert model is not None
    assert sorted(model.states) == [-5, -2, 3]


def test_the_only_rule_of_an_active_policy_can_be_replaced() -> None:
    rules = POLICY[: POLICY.index("      - name: Administrator")]
    apply(MODEL + rules)
    assert actions(MODEL + rules.replace("Peers", "Experts"))[1] == ("Night shift", "change")
    assert "Experts" in export()
    assert "Peers" not in export()


def test_records_that_a_file_does_not_name_stay() -> None:
    apply(PROCESS)
    before = export()
    assert apply("format: 1\npolicies: []\n") == []
    assert export() == before


def test_a_file_does_not_activate_what_was_deactivated_by_hand() -> None:
    apply(PROCESS)
    edit("chg_policy_approval", sys_id_of(ChgPolicyApproval, "Night shift"), active=False)
    silent = PROCESS.replace("    active: true\n    order: 10", "    order: 10")
    assert actions(silent)[1] == ("Night shift", "keep")
    assert actions(PROCESS)[1] == ("Night shift", "change")


def test_fields_that_are_left_out_or_null_return_to_their_defaults() -> None:
    apply(PROCESS)
    for text in (PROCESS.replace("    order: 10\n", ""), PROCESS.replace("order: 10\n", "order: null\n")):
        [_, policy] = apply(text)
        assert policy.changes in ({"order": ("10", "100")}, {})


def test_a_rename_in_the_file_is_another_record() -> None:
    apply(PROCESS)
    assert actions(PROCESS.replace("Night shift", "Day shift"))[1] == ("Day shift", "create")
    assert {"Night shift", "Day shift"} <= set(connection().execute(select(ChgPolicyApproval.name)).scalars())


def test_a_record_that_was_renamed_in_both_places_is_the_same_record() -> None:
    apply(PROCESS)
    edit("chg_policy_approval", sys_id_of(ChgPolicyApproval, "Night shift"), name="Day shift")
    assert actions(PROCESS.replace("Night shift", "Day shift")) == [("Network", "keep"), ("Day shift", "keep")]


def test_names_in_any_spelling_are_kept_as_they_are() -> None:
    names = [
        "two\nlines",
        "a 'quoted' \"name\"",
        "# no comment",
        "- item: x",
        "true",
        "0123",
        "ß \N{SNOWMAN}",
        " padded ",
    ]
    for at, name in enumerate(names):
        add("chg_policy_approval", name=name, state=-4, order=at)
    text = export()
    assert {action for _, action in actions(text)} == {"keep"}
    assert set(names) <= {edit.wanted.name for edit in apply(text)}


@pytest.mark.parametrize("name", ["2024", "1.5", "true", "0123"])
def test_a_name_that_looks_like_another_type_is_a_text(name: str) -> None:
    text = POLICY.replace("Night shift", name).replace("    chg_model: Network\n", "")
    assert actions(text) == [(name, "create")]
    assert actions(text) == [(name, "keep")]


def test_rows_of_one_name_keep_apart() -> None:
    twins = POLICY.replace("name: Administrator", "name: Peers")
    apply(MODEL + twins)
    before = stored_rows()
    assert {action for _, action in actions(export())} == {"keep"}
    assert actions(MODEL + twins) == [("Network", "keep"), ("Night shift", "keep")]
    apply(MODEL + twins.replace("value: 2", "value: 1"))
    assert len(stored_rows()) == len(before)


def test_shipped_records_are_only_named_and_never_written() -> None:
    text = export()
    assert re.search(r"- name: Normal\n    shipped: true\n", text)
    before = stored_rows()
    assert "Normal" not in {edit.wanted.name for edit in apply(text)}
    assert stored_rows() == before


def test_a_shipped_record_in_full_is_accepted_only_as_it_is() -> None:
    text = export(shipped_in_full=True)
    assert {action for _, action in actions(text)} == {"keep"}
    sentence = refusal_of(text.replace("type=emergency\n", "type=emergency^risk=2\n"))
    assert "policy Emergency change: CAB: Policy Emergency change: CAB is shipped and read-only" in sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models:\n  - name: Normal\n    shipped: true\n    color: red\n", "line 3, column 5: shipped: The record is"),
        ("models:\n  - name: Normal\n    shipped: false\n", "line 3, column 5: shipped: The record is shipped"),
        ("models:\n  - name: Mine\n    shipped: true\n", "line 2, column 5: model Mine: This release ships no record"),
    ],
)
def test_a_shipped_record_with_other_keys_or_of_an_unknown_name_is_refused(text: str, sentence: str) -> None:
    assert sentence in refusal_of(text)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("name: Peers", "nmae: Peers", "nmae: Unknown key; use one of name, order, approver_source"),
        ("wait_for: count", "colour: red", "colour: Unknown key"),
        ("users: [admin]", "users: [admin, nobody]", "users: no record of sys_user matches the value"),
        ("group: CAB Approval", "group: CAB", "group: no record of sys_user_group matches the value: 'CAB'."),
        ("chg_model: Network", "chg_model: Netwrk", "chg_model: no record of chg_model matches the value"),
        ("state: -4\n", "state: -9\n", "state: it is not one of the choices -4, -3: '-9'."),
        ("order: 10\n", "order: soon\n", "order: a whole number is expected: 'soon'."),
        ("order: 10\n", "order: {a: 1}\n", "order: A text, a number, true, false, or null is expected"),
        ("order: 10\n", "order: [[1]]\n", "order: A text, a number, true, false, or null is expected"),
        ("condition: type=normal^risk=2", "condition: tpye=normal", "condition: 'tpye' is neither a field of a change"),
        ("condition: approval=approved", "condition: no", "condition: 'no' is not a condition such as"),
        ("value: 2", "value: 0", "value: Enter the number of approvals, at least 1."),
        ("to_state: Closed", "to_state: Clsoed", "to_state: one of the states of this record is expected, and none"),
        ("mandatory_fields: assignment_group", "mandatory_fields: team", "mandatory_fields: 'team' is not a field"),
        ("state_value: 3,", "state_value: -4,", "Unique Key violation"),
        ("{state_value: 3, ", "{", "state_value: This key is required."),
        ("name: Night shift", "name:", "name: This key is required."),
        ("        description: Wait until", "        hint: Wait until", "hint: Unknown key"),
        ("approver_source: group", "approver_source: null", "Data Policy Exception"),
    ],
)
def test_a_refusal_shows_file_line_and_rule(old: str, new: str, sentence: str) -> None:
    assert old in PROCESS
    text = PROCESS.replace(old, new, 1)
    [line] = [line for line in refusal_of(text).splitlines() if sentence in line]
    number = int(re.match(r"process\.yaml, line (\d+), column \d+: ", line)[1])  # type: ignore[index]
    changed = line_of(PROCESS, old.strip())
    # A rule about a whole row is reported where the row begins.
    assert changed - 2 <= number <= changed


def test_a_cycle_of_automatic_moves_is_refused_with_its_place() -> None:
    back = "\n      - {name: Back, from_state: Assess, to_state: New, automatic_transition: true}\n"
    cycle = (
        MODEL.rstrip() + back + "      - {name: On, from_state: New, to_state: Assess, automatic_transition: true}\n"
    )
    sentence = refusal_of(cycle)
    assert sentence.startswith("process.yaml, line 3, column 5: model Network: Model Network cannot be active")
    assert "The automatic transitions between New, Assess form a cycle." in sentence


def test_all_invalid_values_are_reported_at_once() -> None:
    text = PROCESS.replace("to_state: Closed", "to_state: Nowhere").replace("group: CAB Approval", "group: CAB")
    lines = [line for line in refusal_of(text).splitlines() if "Nowhere" in line or "'CAB'" in line]
    assert len(lines) == 2


def test_a_file_with_one_invalid_record_changes_nothing() -> None:
    refusal_of(PROCESS + POLICY.replace("policies:\n", "").replace("Night shift", "Day shift").replace("CAB App", "X"))


def test_two_records_of_one_name_are_refused() -> None:
    twice = PROCESS + POLICY.replace("\npolicies:\n", "")
    assert f"line {line_of(twice, 'Night shift')}" in refusal_of(twice)


def test_a_label_that_names_two_states_is_refused_and_exported_as_a_value() -> None:
    twins = MODEL.replace("label: Closed", "label: Assess")
    assert "several of them is named so" in refusal_of(twins.replace(": Closed\n", ": Assess\n"))
    apply(twins.replace(": Closed\n", ": 3\n").replace(": Assess\n", ": -4\n"))
    assert "from_state: '-4'" in export()
    assert {action for _, action in actions(export())} == {"keep"}


@pytest.mark.parametrize("roles", [(), ("itil",), ("change_manager",)])
def test_an_account_without_the_role_applies_nothing(roles: tuple[str, ...]) -> None:
    caller = caller_for(add_account("ann"), *roles)
    with pytest.raises(ChangegateError) as refusal:
        apply(PROCESS, caller)
    assert "process.yaml, line 3" in refusal.value.message


def test_writes_are_recorded_as_those_of_the_account() -> None:
    apply(PROCESS, caller_for(add_account("ann"), "admin"))
    commit()
    kinds = connection().execute(select(ChgHistory.kind).where(ChgHistory.sys_created_by == "ann").distinct())
    assert sorted(kinds.scalars()) == ["model_edited", "policy_edited"]


def test_names_that_do_not_find_their_record_are_exported_as_sys_ids() -> None:
    first = add_group("Twins")
    second = add_group("TWINS")
    policy = add("chg_policy_approval", name="Peers", state=-4)
    for group in (first, second):
        add("chg_approval_def", policy=policy, name="Members", approver_source="group", group=group)
    text = export()
    assert {f"group: {first}", f"group: {second}"} <= {line.strip() for line in text.splitlines()}
    assert ("Peers", "keep") in actions(text)


def test_a_group_that_has_gone_from_another_instance_is_named_in_the_refusal() -> None:
    group = add_group("Experts", add_account("ann"))
    edit_text = POLICY.replace("CAB Approval", "Experts")
    apply(MODEL + edit_text)
    exported = export()
    assert "group: Experts" in exported
    rollback()
    assert "group: no record of sys_user_group matches the value: 'Experts'." in refusal_of(exported)
    assert group not in exported
    assert ROOT.sys_id not in exported


def test_schedules_are_applied_with_their_spans() -> None:
    assert actions(SCHEDULES) == [("End of the year", "create"), ("Nights", "create")]
    commit()
    before, version = stored_rows(), current_version()
    assert actions(SCHEDULES) == [("End of the year", "keep"), ("Nights", "keep")]
    assert {action for _, action in actions(export())} == {"keep"}
    commit()
    assert (stored_rows(), current_version()) == (before, version)
    [freeze, nights] = apply(SCHEDULES.replace("2027-01-02", "2027-01-03").replace('"12345"', '"1234567"'))
    assert [part.changes for part in freeze.parts] == [
        {"end_date_time": ("2027-01-02 00:00:00", "2027-01-03 00:00:00")}
    ]
    assert [part.changes for part in nights.parts] == [{"days_of_week": ("12345", "1234567")}]
    commit()
    assert current_version() == version + 2


def test_a_schedule_of_one_class_is_not_one_of_another() -> None:
    apply(SCHEDULES)
    moved = SCHEDULES.replace("End of the year", "Nights, all of them").replace(
        "name: Nights\n", "name: End of the year\n"
    )
    assert "maintenance schedule End of the year: " in refusal_of_stored(moved)


def refusal_of_stored(text: str) -> str:
    commit()
    return refusal_of(text)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("time_zone: Europe/Berlin", "time_zone: Europe/Berlim", "time_zone: Enter the IANA name of a time zone"),
        ("time_zone: Europe/Berlin", "time_zone: europe/berlin", "time_zone: The value is stored as 'Europe/Berlin'."),
        ("2026-12-28 18:00:00", "2026-12-28 07:00:00", "end_date_time: "),
        ("2026-12-28 18:00:00", "2026-12-28T18:00", "end_date_time: The value is stored as '2026-12-28 18:00:00'."),
        ("override_role: itil", "override_role: itl", "override_role: no record of sys_user_role matches"),
        ("condition: riskIN2,3", "condition: task.active=0", "condition: task.active is not a field of a change"),
        ("    time_zone: Etc/UTC\n", "", "time_zone: "),
    ],
)
def test_a_schedule_is_refused_by_the_rules_of_schedules(old: str, new: str, sentence: str) -> None:
    text = SCHEDULES.replace(old, new, 1)
    assert text != SCHEDULES
    [line] = [line for line in refusal_of(text).splitlines() if sentence in line]
    assert abs(int(line.split("line ")[1].split(",")[0]) - line_of(SCHEDULES, old.strip())) <= 1


def test_risk_conditions_and_templates_are_applied() -> None:
    assert actions(PLANNING) == [("Databases", "create"), ("Restart a web server", "create")]
    commit()
    before, version = stored_rows(), current_version()
    assert {action for _, action in actions(PLANNING)} == {"keep"}
    assert {action for _, action in actions(export())} == {"keep"}
    commit()
    assert (stored_rows(), current_version()) == (before, version)
    [condition, template] = apply(PLANNING.replace("risk: 2", "risk: 3").replace("cmdb_ci", "cmdb_ci,description"))
    assert condition.changes == {"risk": ("2", "3")}
    assert template.changes == {"mandatory_fields": ("cmdb_ci", "cmdb_ci,description")}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("condition: category=", "condition: categry=", "condition: 'categry' is neither a field"),
        ("    risk: 2\n", "    risk: 9\n", "risk: it is not one of the choices"),
        ("assignment_group=CAB Approval", "assignment_group=CAB", "template: Field assignment_group: no record of"),
        ("mandatory_fields: cmdb_ci", "mandatory_fields: state", "mandatory_fields: 'state' is not a field"),
    ],
)
def test_risk_conditions_and_templates_are_refused_by_their_rules(old: str, new: str, sentence: str) -> None:
    text = PLANNING.replace(old, new, 1)
    [line] = [line for line in refusal_of(text).splitlines() if sentence in line]
    assert f"line {line_of(PLANNING, old.strip())}, " in line
