"""Which risk conditions are valid, and that their reads are cached."""

import pytest

from changegate.errors import InputInvalid
from changegate.services.risk.conditions import active_conditions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record
from tests.services.approvals.asked_changes import add, edit
from tests.support.people import ROOT
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("app_context")
CONDITIONS = get_table("risk_conditions")
REFUSED = [
    ("nonsense=1", "'nonsense' is neither a field of a change nor one of the facts"),
    ("category=Network^ORDERBYnumber", "ORDERBYnumber sorts"),
    ("category=javascript:gs.x()", "is code, which is never evaluated"),
    *(
        (f"{name}ISNOTEMPTY", f"{name}: the process writes this fact")
        for name in ("risk", "state", "approval", "event")
    ),
    ("risk_explanationISNOTEMPTY", "risk_explanation: the process writes this fact"),
    ("task.active=0", "task.active: the process writes this fact"),
    ("sys_updated_byISNOTEMPTY", "sys_updated_by: the process writes this fact"),
    ("source_emailISNOTEMPTY", "source_email: the field is private"),
    ("priority=much", "priority: "),
]


@pytest.mark.parametrize(("condition", "sentence"), REFUSED)
def test_refuses_a_condition_that_no_risk_may_depend_on(condition: str, sentence: str) -> None:
    valid = add("risk_conditions", name="Valid", condition="category=Network", risk="2")
    with pytest.raises(InputInvalid) as created:
        add("risk_conditions", name="Invalid", condition=condition, risk="2")
    assert sentence in created.value.fields["condition"][0]
    with pytest.raises(InputInvalid):
        edit("risk_conditions", valid, condition=condition)


def test_each_edit_raises_the_version() -> None:
    sys_id = add("risk_conditions", name="Network", condition="category=Network", risk="2", version="9")
    for changes in ({"risk": "3"}, {"risk": "3"}, {"active": "false"}, {"active": "true"}):
        edit("risk_conditions", sys_id, **changes)
    rule = next(rule for rule in active_conditions().rules if rule.name == "Network")
    assert (rule.version, rule.risk) == (4, 3)


def test_conditions_are_in_order_and_each_write_takes_effect_at_once() -> None:
    def names() -> list[str]:
        return [rule.name for rule in active_conditions().rules if not rule.is_range]

    second = add("risk_conditions", name="Second", condition="category=Network", risk="2", order="20")
    add("risk_conditions", name="Third", condition="category=Network", risk="2", order="20")
    add("risk_conditions", name="First", condition="category=Network", risk="2", order="10")
    assert names() == ["First", "Second", "Third"]
    edit("risk_conditions", second, active="false")
    assert names() == ["First", "Third"]
    delete_record(CONDITIONS, ROOT, second)
    assert names() == ["First", "Third"]


def test_a_plain_create_runs_no_statement_more() -> None:
    def statements() -> int:
        with counted_statements() as found:
            create_record(get_table("change_request"), ROOT, {"short_description": "Deploy", "category": "Network"})
        return len(found)

    statements()
    without = statements()
    for at in range(50):
        fields = {"condition": f"categoryINSoftware,Hardware^ORpriority=1^short_descriptionLIKE{at}", "risk": "2"}
        add("risk_conditions", name=f"Condition {at}", order=str(at), **fields)
    active_conditions()
    assert statements() == without
