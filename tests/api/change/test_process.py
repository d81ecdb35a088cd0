"""What a change can do next and what it waits for, over the Change Management API."""

from typing import Any

import pytest

from tests.api.change.test_scopes import caller, with_rules
from tests.support.change_api import ChangeApi
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import TokenDesk

NOBODY = "0" * 32
GROUPS = "/api/now/table/sys_user_group"


@pytest.fixture
def group(api: ChangeApi) -> str:
    found: str = TableApi(api.client, api.headers, GROUPS).created(name="Network")["sys_id"]
    return found


def transitions(result: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """Return which transitions of an answer are available, by their states."""
    return {
        (each["from_state"], each["to_state"]): each["transition_available"]
        for alternatives in result["state_transitions"]
        for each in alternatives
    }


def test_next_states_have_the_documented_form(itil: ChangeApi) -> None:
    result = result_of(itil.get(f"/{itil.new()}/nextstates"))

    assert result["state_label"] == {"-5": "New", "-4": "Assess", "4": "Canceled"}
    assert result["available_states"] == ["-5", "-4", "4"]
    assert transitions(result) == {("-5", "-4"): False, ("-5", "4"): True}
    [[assess], [_]] = result["state_transitions"]
    assert assess.keys() == {
        *("display_value", "sys_id", "to_state", "from_state"),
        *("automatic_transition", "transition_available", "conditions"),
    }
    assert assess["automatic_transition"] is False
    failed = [each["condition"] for each in assess["conditions"] if not each["passed"]]
    assert [each.keys() == {"sys_id", "name", "description"} for each in failed] == [True]


def test_every_available_transition_is_possible_and_every_other_is_refused(itil: ChangeApi, group: str) -> None:
    for fields in ({}, {"assignment_group": group}, {"assignment_group": group, "type": "emergency"}):
        offered = transitions(result_of(itil.get(f"/{itil.new(**fields)}/nextstates")))
        for (_, target), is_available in offered.items():
            response = itil.patch(f"/{itil.new(**fields)}", {"state": target})
            assert (response.status_code == 200) is is_available, (fields, target, response.text)
        refused = {"-4", "-3", "-2", "-1", "0", "3", "4"} - {target for _, target in offered}
        for target in refused:
            assert itil.patch(f"/{itil.new(**fields)}", {"state": target}).status_code == 400, (fields, target)


def test_a_blocker_shows_what_is_missing_and_how_to_add_it(itil: ChangeApi, group: str) -> None:
    sys_id = itil.new()
    [blocker] = result_of(itil.get(f"/{sys_id}/blockers"))

    assert (blocker["code"], blocker["field"]) == ("field", "assignment_group")
    assert blocker["sentence"].endswith(".")
    assert {"type": "role", "name": "itil"} in blocker["who_can"]
    how = blocker["how"]
    assert (how["method"], how["path"]) == ("PATCH", f"/api/now/table/change_request/{sys_id}")
    assert how["body"] == {"assignment_group": ""}
    done = itil.client.patch(how["path"], json={"assignment_group": group}, headers=itil.headers)
    assert done.status_code == 200
    assert [each["code"] for each in result_of(itil.get(f"/{sys_id}/blockers"))] != ["field"]


def test_a_refusal_and_next_states_use_the_words_of_the_blocker(itil: ChangeApi) -> None:
    sys_id = itil.new()
    [blocker] = result_of(itil.get(f"/{sys_id}/blockers"))
    [[assess], _] = result_of(itil.get(f"/{sys_id}/nextstates"))["state_transitions"]

    assert blocker["sentence"] in [each["condition"]["description"] for each in assess["conditions"]]
    message, detail = error_of(itil.patch(f"/{sys_id}", {"state": "assess"}))
    assert message.startswith("Change Request record could not be updated. ") and "Assignment group" in message
    assert detail == ""
    refused = TableApi(itil.client, itil.headers).update(sys_id, {"state": "-4"})
    assert refused.status_code == 403
    assert error_of(refused)[1] == message.removeprefix("Change Request record could not be updated. ")


def test_a_change_in_a_final_state_waits_for_nothing(itil: ChangeApi) -> None:
    sys_id = itil.new()
    itil.patch(f"/{sys_id}", {"state": "canceled"})
    assert result_of(itil.get(f"/{sys_id}/blockers")) == []
    final = result_of(itil.get(f"/{sys_id}/nextstates"))
    assert final["available_states"] == ["4"] and final["state_transitions"] == []


@pytest.mark.parametrize("path", ["nextstates", "blockers"])
def test_a_change_that_the_caller_cannot_see_is_not_found(api: ChangeApi, desk: TokenDesk, path: str) -> None:
    foreign, task = api.new(), api.new(f"/{api.new()}/task")
    for sys_id in (NOBODY, task, "x", "%00"):
        assert api.get(f"/{sys_id}/{path}").status_code == 404
    own_only = with_rules(desk, "* change change_request own")
    own = own_only.new()
    assert [own_only.get(f"/{sys_id}/{path}").status_code for sys_id in (own, foreign)] == [200, 404]
    creator = caller(desk, desk.register("Creator"))
    assert creator.get(f"/{creator.new()}/{path}").status_code == 403
    assert api.post(f"/{foreign}/{path}").status_code == 405
