"""From what a client writes to sys_ids, on both databases: docs/reference/table-api.md#writes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.errors import RequestUnreadable
from changegate.extensions import db
from changegate.models import CmdbCi, OAuthEntity, SysUser, SysUserGroup
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.tables.writing.references import resolve_references
from tests.support.people import ADMIN, ROOT
from tests.support.statements import counted_statements

CHANGES = get_table("change_request")
ANN, BEN, TEAM, ROUTER = ("a" * 32, "b" * 32, "c" * 32, "D" * 32)


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[Flask]:
    with either_app.app_context():
        db.session.add_all(
            [
                SysUser(sys_id=ANN, user_name="ann", name="Ann Lee"),
                SysUser(sys_id=BEN, user_name="ann lee", name="Ben"),
                SysUserGroup(sys_id=TEAM, name="Team, Network"),
                CmdbCi(sys_id=ROUTER, name="router"),
            ]
        )
        db.session.commit()
        yield either_app


def resolved(field: str, text: str, caller: Caller = ROOT, **options: bool) -> Any:
    return resolve_references(CHANGES, caller, {field: text}, **options)[field]


def refusal(field: str, text: str, caller: Caller = ROOT, **options: bool) -> str:
    with pytest.raises(RequestUnreadable) as refused:
        resolved(field, text, caller, **options)
    return str(refused.value.detail)


@pytest.mark.parametrize(
    ("field", "text", "sys_id"),
    [
        ("assigned_to", ANN, ANN),
        ("assigned_to", "ANN", ANN),
        ("assigned_to", "ben", BEN),
        ("assignment_group", "team, network", TEAM),
        ("cmdb_ci", ROUTER, ROUTER),
        ("cmdb_ci", "ROUTER", ROUTER),
    ],
)
def test_means_a_record_by_id_user_name_or_display_name(at_work: Flask, field: str, text: str, sys_id: str) -> None:
    assert resolved(field, text) == sys_id
    assert resolved(field, text, by_display=True) == sys_id


@pytest.mark.parametrize("by_display", [False, True])
def test_a_user_id_takes_precedence_over_an_equal_name(at_work: Flask, by_display: bool) -> None:
    """Users choose their names, which must not lead to them what was meant for another user."""
    assert resolved("assigned_to", "Ann Lee", by_display=by_display) == BEN


def test_a_sys_id_takes_precedence_over_an_equal_name(at_work: Flask) -> None:
    db.session.add(CmdbCi(name=ROUTER))
    db.session.commit()
    assert resolved("cmdb_ci", ROUTER) == ROUTER
    assert resolved("cmdb_ci", ROUTER, by_display=True) not in (ROUTER, None)


def test_a_parent_is_found_by_its_number(at_work: Flask) -> None:
    parent = create_record(CHANGES, ROOT, {})
    assert resolved("parent", parent["number"].lower()) == parent["sys_id"]


@pytest.mark.parametrize("by_display", [False, True])
def test_refuses_what_means_nothing_or_several(at_work: Flask, by_display: bool) -> None:
    db.session.add_all([CmdbCi(name="twin"), CmdbCi(name="Twin")])
    db.session.commit()
    nothing = "Field cmdb_ci: no record of cmdb_ci matches the value"
    several = "Field cmdb_ci: more than one record of cmdb_ci matches the value"
    for text in ("nothing", "0" * 32, ROUTER.lower(), "%", "router,router"):
        assert refusal("cmdb_ci", text, by_display=by_display) == nothing
    assert refusal("cmdb_ci", "TWIN", by_display=by_display) == several


def test_a_record_that_the_caller_may_not_see_is_missing(at_work: Flask) -> None:
    theirs = create_record(CHANGES, ROOT, {})
    visitor = Caller(ANN, "ann", Permissions(frozenset()))
    own = create_record(CHANGES, ROOT, {"requested_by": ANN})
    for text in (own["sys_id"], own["number"]):
        assert resolved("parent", text, visitor) == own["sys_id"]
    for text in (theirs["sys_id"], theirs["number"]):
        assert refusal("parent", text, visitor) == refusal("parent", "CHG9999999", visitor)


def test_an_integration_that_the_caller_may_not_read_is_not_found(at_work: Flask) -> None:
    entity = OAuthEntity(name="Build", client_id="b" * 32, type="jwt_bearer")
    db.session.add(entity)
    db.session.flush()
    visitor = Caller(ANN, "ann", Permissions(frozenset({"itil"})))
    unknown = refusal("oauth_entity", "0" * 32, visitor)
    assert [refusal("oauth_entity", text, visitor) for text in (entity.sys_id, "Build")] == [unknown, unknown]


def test_lists_take_ids_names_and_addresses(at_work: Flask) -> None:
    assert resolved("watch_list", f" {ANN} , ann lee,,{ANN}, x@example.com ") == f"{ANN},{BEN},{ANN},x@example.com"
    assert resolved("watch_list", " , ,") is None
    assert refusal("watch_list", f"{ANN},nobody") == "Field watch_list: no record of sys_user matches the value"
    assert refusal("group_list", "team") == "Field group_list: no record of sys_user_group matches the value"


def test_a_list_that_grows_too_long_by_its_ids_is_refused(at_work: Flask) -> None:
    assert refusal("watch_list", ",".join(["ann"] * 200)) == (
        "Field watch_list: a list of sys_ids of up to 4000 characters is expected"
    )


def test_a_list_of_many_ids_is_resolved_whole(at_work: Flask) -> None:
    people = [f"{turn:032}" for turn in range(121)]
    db.session.add_all(SysUser(sys_id=sys_id, user_name=sys_id, name=sys_id) for sys_id in people)
    db.session.commit()
    assert resolved("watch_list", ",".join(people)) == ",".join(people)


def test_what_refers_to_an_unknown_table_is_kept_as_it_is(at_work: Flask) -> None:
    assert resolved("company", "ACME") == "ACME"
    assert resolved("skills", "Python,SQL") == "Python,SQL"
    assert refusal("company", "x" * 33) == "Field company: a sys_id or a name of up to 32 characters is expected"


def test_ids_of_several_fields_to_one_table_take_one_statement(at_work: Flask) -> None:
    texts = {"assigned_to": ANN, "requested_by": BEN, "closed_by": ADMIN, "watch_list": f"{ANN},{BEN}"}
    with counted_statements() as statements:
        found = resolve_references(CHANGES, ROOT, texts | {"cmdb_ci": ROUTER})
    assert found == texts | {"cmdb_ci": ROUTER}
    assert len(statements) == 2
