"""The links of references."""

import pytest

from changegate.models.base import Entry
from changegate.services.tables.display.links import linker
from changegate.services.tables.display.shapes import Shape

SHAPE = Shape("https://change.example.com/api/now/table")
SYS_ID = "0" * 32


def link_of(table: str, value: str) -> str:
    return linker(Entry("reference", "Label", reference=table), SHAPE)(value)


def test_leads_to_the_record() -> None:
    assert link_of("sys_user", SYS_ID) == f"https://change.example.com/api/now/table/sys_user/{SYS_ID}"


@pytest.mark.parametrize(
    ("value", "last_part"),
    [(SYS_ID, SYS_ID), ("Head office", "Head%20office"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("Köln", "K%C3%B6ln")],
)
def test_is_an_address_whatever_refers_to_a_table_that_is_not_served(value: str, last_part: str) -> None:
    assert link_of("cmn_location", value) == f"https://change.example.com/api/now/table/cmn_location/{last_part}"
