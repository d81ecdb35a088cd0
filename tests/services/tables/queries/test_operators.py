"""Queries as automation writes them, and what they find, on both databases.

See docs/reference/encoded-queries.md#operators.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from changegate.database import connection
from changegate.models import ChangeRequest, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.registry import get_table
from tests.support.change_rows import GROUPS, USERS, insert_rows
from tests.support.queries import find

ANN = Caller("a" * 32, "ann", Permissions(frozenset({"itil"})))
# A Friday.
NOW = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


CHANGES: dict[str, dict[str, Any]] = {
    "may": {"state": -5, "start_date": at(2024, 5, 1), "end_date": at(2024, 5, 3), "assigned_to": "a" * 32},
    "june": {"state": -2, "type": "standard", "start_date": at(2024, 6, 1), "end_date": at(2024, 6, 1)},
    "closed": {"state": 3, "active": False, "close_code": "successful", "assignment_group": "d" * 32},
    "network": {"state": -4, "assignment_group": "d" * 32, "description": "open the FIREWALL", "type": "emergency"},
    "urgent": {"state": -3, "type": "emergency", "short_description": "Firewall down", "active": True},
    "old": {"state": 0, "sys_created_on": at(2024, 1, 2), "sys_updated_on": at(2024, 5, 16, 23, 59, 59)},
    "soon": {"state": -1, "start_date": at(2024, 5, 17, 9, 15), "end_date": at(2024, 5, 31, 23, 59, 59)},
}
FOUND: dict[str, str] = {
    "active=true^stateIN-5,-4,-3^ORDERBYDESCsys_created_on": "may network urgent",
    "stateNOT IN3,4^assignment_group.name=Network^ORDERBYnumber": "network",
    "short_descriptionLIKEfirewall^ORdescriptionLIKEfirewall^type=normal": "",
    "short_descriptionLIKEfirewall^ORdescriptionLIKEfirewall^type=emergency": "network urgent",
    "type=standard^state=-2^NQtype=emergency^state=-3": "june urgent",
    'start_dateBETWEENjavascript:gs.dateGenerate("2024-05-01 00:00:00")'
        '@javascript:gs.dateGenerate("2024-05-31 23:59:59")': "may soon",
    "sys_updated_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()":
        "may june closed network urgent soon",
    "sys_updated_onONToday": "may june closed network urgent soon",
    "sys_updated_onNOTONToday": "old",
    "sys_updated_onONYesterday@javascript:gs.beginningOfYesterday()@javascript:gs.endOfYesterday()": "old",
    "sys_created_onRELATIVEGT@dayofweek@ago@30^close_codeISEMPTY": "may june network urgent soon",
    "start_dateSAMEASend_date^EQ": "june",
    "start_dateNSAMEASend_date^EQ": "may soon",
    "start_dateSAMEASend_date@month": "may june soon",
    "start_dateSAMEASend_date@week": "may june",
    "start_dateLT_FIELDend_date": "may soon",
    "start_dateMORETHANend_date@day@before@1": "may soon",
    "start_dateMORETHANend_date@day@before@2": "soon",
    "end_dateMORETHANstart_date@week@after@1": "soon",
    "start_dateLESSTHANend_date@day@before@3": "may june",
    "start_dateLESSTHANend_date@hour@after@1": "june",
    "start_dateRELATIVELT@hour@ahead@1": "may soon",
    "start_dateRELATIVEGE@minute@ahead@45": "june soon",
    "start_dateRELATIVEEE@hour@ahead@1": "soon",
    "start_dateRELATIVEEE@dayofweek@ahead@0": "soon",
    "start_dateRELATIVEEE@month@ahead@1": "june",
    "start_dateRELATIVELTE@month@ago@0": "may",
    "start_dateONThis week": "soon",
    "start_dateON2024-06-01": "june",
    "start_dateDATEPARTSaturday@javascript:gs.datePart('dayofweek','saturday','EE')": "june",
    'start_dateDATEPARTMay@javascript:gs.datePart("month","may","EE")': "may soon",
    "start_dateDATEPART9 o'clock@javascript:gs.datePart('hour','9','GE')": "soon",
    "start_date>=javascript:gs.daysAgoStart(16)^start_date<=javascript:gs.daysAgoEnd(-14)": "may soon",
    "assigned_toDYNAMIC90d1921e5f510100a9ad2572f2b477fe": "may",
    "assigned_to=javascript:gs.getUserID()": "may",
    "assigned_to.user_name=javascript:gs.getUserName()": "may",
    "assigned_toINjavascript:gs.getUserID()": "may",
    "assigned_to=Ann Example": "may",
    "assigned_toSTARTSWITHann ex": "may",
    "state=closed": "closed",
    "state=review^ORstate=implement": "old soon",
    "stateINnew,assess": "may network",
    "state>-3": "june closed old soon",
    "active!=true": "closed",
    "assignment_group.active!=true": "may june urgent old soon",
    "assignment_group!=network operations": "closed network",
    "type!=emergency": "may june closed old soon",
    "close_code!=unsuccessful": "closed",
    "close_codeANYTHING^short_descriptionENDSWITHdown": "urgent",
    "sys_class_nameINSTANCEOFtask": "may june closed network urgent old soon",
    "sys_class_nameINSTANCEOFincident": "",
    "f==^type=standard": "june",
    "short_description==": "",
    "123TEXTQUERY321=firewall down": "urgent",
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = lambda: NOW
    with either_app.app_context():
        insert_rows()
        connection().execute(Task.__table__.delete())
        stamps = {"sys_created_on": NOW, "sys_updated_on": NOW}
        common = {**stamps, "sys_class_name": "change_request"}
        for name, values in CHANGES.items():
            connection().execute(insert(ChangeRequest.__table__).values({**common, "number": name, **values}))
        yield


def test_each_operator_finds_the_matching_records() -> None:
    found = {text: sorted(find(text, ANN, shown="number")) for text in FOUND}
    assert found == {text: sorted(names.split()) for text, names in FOUND.items()}


def test_the_dynamic_filter_me_finds_the_caller() -> None:
    for text in ("user_name=javascript:gs.getUserName()", "sys_id=javascript:gs.getUserID()", "user_name=ANN"):
        assert find(text, ANN, "sys_user", shown="sys_id") == [ANN.sys_id]


def test_a_name_that_two_have_means_the_user_name_first() -> None:
    assert [USERS[1]["name"], USERS[0]["user_name"]] == ["ann", "ann"]
    assert find("manager=ann", ANN, "sys_user_group", shown="name") == [GROUPS[0]["name"]]
    assert find("manager=Ann Example", ANN, "sys_user_group", shown="name") == [GROUPS[0]["name"]]


def test_fields_reached_in_different_ways_are_not_taken_for_each_other() -> None:
    """What a value names decides which tables are joined, also where statements are remembered by their shape."""
    change = ChangeRequest.__table__.update().where(ChangeRequest.number == "may")
    connection().execute(change.values(short_description="ann example", opened_by="b" * 32))
    for reference, expected in (("assigned_to", 1), ("opened_by", 0), ("assigned_to", 1)):
        query = parse_encoded_query(f"short_descriptionSAMEAS{reference}.name")
        assert Matching(get_table("change_request"), ANN, query).count() == expected
