"""The order that a query asks for, on both databases."""

import pytest
from flask import Flask

from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.clauses import MAX_ORDERS, order_clauses
from changegate.services.tables.queries.encoded_query import Order
from changegate.services.tables.registry import get_table
from changegate.services.tables.walks import Walks
from tests.support.queries import ROOT, find


@pytest.mark.usefixtures("at_work")
def test_sorts_the_empty_first_and_last_on_both_databases() -> None:
    for field in ("order", "assignment_group.description", "assigned_to.active"):
        empty = len(find(f"{field}ISEMPTY"))
        ascending, descending = find(f"ORDERBY{field}", shown="number"), find(f"ORDERBYDESC{field}", shown="number")
        assert set(ascending[:empty]) == set(descending[-empty:]) == set(find(f"{field}ISEMPTY", shown="number"))
    keys = [-99 if value is None else value for value in find("ORDERBYorder", shown="order")]
    assert keys == sorted(keys)


@pytest.mark.usefixtures("at_work")
def test_sorts_references_by_what_they_are_called() -> None:
    by_name = {"a" * 32: "Ann Example", "b" * 32: "ann", "c" * 32: "bob%", None: ""}
    names = [by_name[sys_id] for sys_id in find("ORDERBYassigned_to^ORDERBYnumber", shown="assigned_to")]
    assert names == sorted(names)
    assert find("GROUPBYDESCassigned_to", shown="assigned_to") == find(
        "ORDERBYDESCassigned_to.name", shown="assigned_to"
    )


@pytest.mark.usefixtures("at_work")
def test_sorts_by_several_fields_wherever_they_stand() -> None:
    query = "ORDERBYDESCstate^NQORDERBYorder^ORDERBYstate"
    rows = list(zip(find(query, shown="state"), find(query, shown="order"), strict=True))
    assert rows == sorted(rows, key=lambda row: (-row[0], -99 if row[1] is None else row[1]))


def test_any_order_is_total_and_sorts_by_a_field_once(app: Flask) -> None:
    walks = Walks(get_table("change_request"), ROOT.permissions)

    def names(*orders: Order) -> list[str]:
        return [str(clause).split(".")[1] for clause in order_clauses(walks, orders)]

    assert names() == ["sys_created_on ASC", "sys_id ASC"]
    assert names(Order("state"), Order("STATE", is_descending=True)) == ["state ASC", "sys_id ASC"]
    assert names(Order("nonsense"), Order("active")) == ["active ASC", "sys_id ASC"]
    assert names(Order("sys_id", is_descending=True), Order("number")) == ["sys_id DESC"]


def test_refuses_more_orders_than_databases_take(app: Flask) -> None:
    fields = list(get_table("change_request").columns)[: MAX_ORDERS + 1]
    walks = Walks(get_table("change_request"), ROOT.permissions)
    order_clauses(walks, [Order(name) for name in fields[:-1]])
    with pytest.raises(RequestUnreadable):
        order_clauses(walks, [Order(name) for name in fields])
