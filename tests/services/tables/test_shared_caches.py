"""Caches that callers with the same permissions share: neither a result nor a cached object depends on the person."""

import gc
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache, partial
from typing import ClassVar
from weakref import ref

import pytest
from flask import Flask

from changegate.errors import RecordNotFound, RequestUnreadable
from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import CallLimits, ScopePolicy
from changegate.services.attachments.access import find_owner
from changegate.services.attachments.reading import list_attachments
from changegate.services.tables.display.selections import select_fields
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.records import count_records, read_page, read_record
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.tables.writing.references import resolve_references
from changegate.services.tables.writing.written_rows import lock_row
from tests.support.people import ADMIN

CHANGES = get_table("change_request")
NAMES = ("ann", "bob")
OWN_RECORDS = TokenGrant("e" * 32, "own", ScopePolicy(has_everything=True), CallLimits(own_records=True))
PERMISSIONS = {
    "users": Permissions(frozenset()),
    "tokens for own records": Permissions(frozenset(), OWN_RECORDS),
}
SHOWN = Shape("", DisplayValue.ALL, fields=("short_description", "parent", "parent.short_description", "comments"))


@pytest.fixture(params=PERMISSIONS)
def people(request: pytest.FixtureRequest, either_app: Flask) -> Iterator[list[Caller]]:
    """Ann and Bob with the same permissions, and two changes of each, whose parents are changes of the other."""
    with either_app.app_context():
        for name in NAMES:
            db.session.add(SysUser(sys_id=name[0] * 32, user_name=name, name=name.title()))
        db.session.flush()
        entity = OAuthEntity(sys_id="e" * 32, name="CI", client_id="0" * 32, jwks_url="https://ci/jwks", run_as=ADMIN)
        db.session.add(entity)
        db.session.commit()
        robot = Caller(ADMIN, "admin", Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "")))
        for parents in ({}, {"ann": "b1" * 16, "bob": "a1" * 16}):
            for name in NAMES:
                sys_id = f"{name[0]}{2 if parents else 1}" * 16
                texts = {"short_description": f"{sys_id[:2]} of {name}", "comments": f"comment of {name}"}
                sent = {"sys_id": sys_id, "requested_by": name[0] * 32, "parent": parents.get(name, ""), **texts}
                create_record(CHANGES, robot, sent)
        db.session.commit()
        yield [Caller(name[0] * 32, name, PERMISSIONS[request.param]) for name in NAMES]


def texts_of(caller: Caller, query: str) -> list[tuple[str, str]]:
    """Return the description of each record that a query finds, and that of its parent."""
    page = read_page(CHANGES, caller, parse_encoded_query(query), SHOWN, limit=9, offset=0)
    assert page.total == count_records(CHANGES, caller, parse_encoded_query(query))
    paths = ("short_description", "parent.short_description")
    return [tuple(record[path]["value"] for path in paths) for record in page.records]


def test_callers_with_the_same_permissions_find_their_own_records(people: list[Caller]) -> None:
    # In the second round, every statement comes from a cache that the other caller has used.
    for caller in people * 2:
        letter = caller.user_name[0]
        own = [(f"{letter}1 of {caller.user_name}", ""), (f"{letter}2 of {caller.user_name}", "")]
        assert texts_of(caller, "ORDERBYshort_description") == own
        assert texts_of(caller, "requested_by=javascript:gs.getUserID()^ORDERBYshort_description") == own
        assert texts_of(caller, "JOINchange_request.sys_id=change_request.sys_id!^ORDERBYshort_description") == own
        assert texts_of(caller, "parent.short_descriptionISNOTEMPTY") == []
        assert texts_of(caller, "RLQUERYchange_request.parent,>=1^ENDRLQUERY") == []


def test_callers_with_the_same_permissions_count_their_own_records(people: list[Caller]) -> None:
    for caller in people * 2:
        aggregation = Aggregation(counts=True, group_by=("requested_by",))
        [group] = aggregate_records(CHANGES, caller, parse_encoded_query(""), aggregation)
        assert (group["groupby_fields"][0]["value"], group["stats"]["count"]) == (caller.sys_id, "2")


def test_callers_with_the_same_permissions_reach_no_record_of_each_other(people: list[Caller]) -> None:
    for caller, other in (people, people[::-1]) * 2:
        own_id, other_id = (f"{person.user_name[0]}2" * 16 for person in (caller, other))
        record = read_record(CHANGES, caller, own_id, SHOWN)
        assert f"comment of {caller.user_name}" in record["comments"]["display_value"]
        # The stored reference is shown, but not the number of a record that the caller may not see.
        assert record["parent"]["display_value"] == f"{other.user_name[0]}1" * 16
        assert lock_row(CHANGES, caller, own_id)["sys_id"] == own_id
        assert resolve_references(CHANGES, caller, {"parent": own_id}) == {"parent": own_id}
        for refused in (
            partial(read_record, CHANGES, caller, other_id, SHOWN),
            partial(lock_row, CHANGES, caller, other_id),
            partial(find_owner, CHANGES, caller, other_id),
        ):
            with pytest.raises(RecordNotFound):
                refused()
        with pytest.raises(RequestUnreadable) as unresolved:
            resolve_references(CHANGES, caller, {"parent": other_id})
        assert "no record of task" in str(unresolved.value.detail)


def test_no_cache_of_the_services_holds_a_caller(people: list[Caller]) -> None:
    for caller in map(copy_of, people):
        texts_of(caller, "requested_by=javascript:gs.getUserID()^parent.number!=x^ORDERBYparent.number")
        lock_row(CHANGES, caller, f"{caller.sys_id[0]}1" * 16)
        list_attachments([CHANGES], caller, parse_encoded_query(""), {}, limit=9, offset=0)
    del caller
    if copies_in_memory():
        # Only reference cycles are left to collect. That takes seconds late in a run of all tests.
        gc.collect()
    assert copies_in_memory() == []
    assert select_fields(CHANGES, people[0].permissions, SHOWN) is select_fields(CHANGES, people[1].permissions, SHOWN)
    # The search finds a caller that a cached function keeps.
    cached = lru_cache(lambda _key: partial(repr, copy_of(people[0])))
    cached("key")
    [kept] = copies_in_memory()
    assert kept.sys_id == people[0].sys_id


class CallerCopy(Caller):
    """A caller whose copies in memory are tracked by weak references."""

    references: ClassVar[list[ref["CallerCopy"]]] = []


def copy_of(person: Caller) -> Caller:
    copy = CallerCopy(person.sys_id, person.user_name, person.permissions)
    CallerCopy.references.append(ref(copy))
    return copy


def copies_in_memory() -> list[Caller]:
    return [copy for reference in CallerCopy.references if (copy := reference()) is not None]


def test_permissions_hold_roles_and_grant_only() -> None:
    assert [field.name for field in fields(Permissions)] == ["roles", "grant"]
    assert [field.name for field in fields(TokenGrant)] == ["entity", "scope", "policy", "limits_now"]
