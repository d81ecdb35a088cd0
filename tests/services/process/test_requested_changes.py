"""Requests from offered templates, on both databases."""

import pytest

from changegate.errors import AccessRefused, OperationFailed
from changegate.services.process.requested_changes import get_offer, list_offers, request_change
from tests.services.approvals.asked_changes import add, add_group, add_people, edit
from tests.support.people import caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
TEMPLATE = {"template": "category=Network^risk=4^test_plan=Ping it^EQ", "read_only_fields": "risk"}


def test_members_of_the_groups_are_offered_a_template_until_it_is_retired() -> None:
    people = add_people("nora", "eve")
    group = add_group("Shop", people["nora"])
    template = add("std_change_record_producer", name="Open a port", **TEMPLATE, offered_to=group)
    nora, eve = (caller_for(people[name]) for name in ("nora", "eve"))
    assert [offer.name for offer in list_offers(nora)] == ["Open a port"]
    assert list_offers(eve) == []
    made = request_change(get_offer(template, nora), {"short_description": "Port 443", "risk": "1"}, nora)
    assert (made["requested_by"], made["risk"], made["test_plan"]) == (people["nora"], 4, "Ping it")
    assert made["type"] == "standard"
    edit("std_change_record_producer", template, active="false")
    for caller in (nora, eve):
        with pytest.raises(AccessRefused):
            get_offer(template, caller)


def test_a_request_needs_a_short_description() -> None:
    nora = caller_for(add_people("nora")["nora"])
    template = add("std_change_record_producer", name="Open a port", **TEMPLATE, offered_to_all=True)
    with pytest.raises(OperationFailed):
        request_change(get_offer(template, nora), {"description": "Please"}, nora)
