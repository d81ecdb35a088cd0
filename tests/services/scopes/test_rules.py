"""The rules of an integration's scopes: as one statement brings them, and as the policy that they make."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthEntityScope, OAuthExchange, SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import USERACCOUNT
from changegate.services.access.scope_policy import NO_LIMITS, CallLimits, ScopeRule
from changegate.services.scopes.rules import (
    all_rules,
    fields_of_list,
    held_scopes,
    rules_of_entity,
    scope_policy_of,
)
from tests.support.token_desk import TokenDesk

CREATE = ("now/table", "POST", "*", "change_request", 0, None)
READ_OWN = ("now/stats", "GET", "v1", "task", 1, "State, priority")
READING = ScopeRule(
    "now/stats", "GET", "v1", "task", CallLimits.of_rule(frozenset({"state", "priority"}), own_records=True)
)
CREATING = ScopeRule("now/table", "POST", "*", "change_request")


NO_RULE = (None,) * 6


def text_of(*rows: tuple[Any, ...]) -> str:
    return json.dumps(rows)


RULES = text_of(("deploy", "1" * 32, *CREATE), ("deploy", "1" * 32, *READ_OWN), ("empty", "2" * 32, *NO_RULE))
EVERYTHING = text_of(("useraccount", USERACCOUNT, *NO_RULE), ("read", "3" * 32, *READ_OWN))


@pytest.mark.parametrize(
    ("rules", "asked", "held"),
    [
        (None, None, ()),
        (RULES, None, ("deploy", "empty")),
        (RULES, "empty other", ("empty",)),
        (RULES, "deploy empty", ("deploy", "empty")),
        (RULES, "dep", ()),
        (RULES, "", ()),
    ],
)
def test_a_token_holds_the_scopes_that_it_asked_for_and_its_integration_has(
    rules: str | None, asked: str | None, held: tuple[str, ...]
) -> None:
    assert held_scopes(rules, asked) == held


def test_a_policy_holds_the_rules_of_its_scopes() -> None:
    policy = scope_policy_of(RULES, ("deploy", "empty"), None, is_enforced=False)
    assert policy.held == (CREATING, READING)
    assert (policy.has_everything, policy.protected, policy.named) == (False, None, None)
    assert policy.held[0].limits == NO_LIMITS
    assert scope_policy_of(RULES, ("empty",), None, is_enforced=False).held == ()
    assert scope_policy_of(None, ("deploy",), None, is_enforced=False).held == ()


def test_useraccount_is_everything_only_for_a_token_that_holds_it() -> None:
    assert scope_policy_of(EVERYTHING, ("useraccount",), None, is_enforced=False).has_everything
    assert not scope_policy_of(EVERYTHING, ("read",), None, is_enforced=False).has_everything


def test_the_rules_of_all_scopes_protect_and_those_of_the_integration_name_calls() -> None:
    policy = scope_policy_of(RULES, ("empty",), text_of(CREATE), is_enforced=True)
    assert (policy.held, policy.protected, policy.named) == ((), (CREATING,), (CREATING, READING))
    assert scope_policy_of(RULES, ("deploy",), "[]", is_enforced=False).protected == ()


@pytest.mark.parametrize(
    ("text", "fields"),
    [("", None), (",", set()), (" ", set()), ("a", {"a"}), (" A ,b,,a", {"a", "b"})],
)
def test_a_comma_list_names_fields(text: str, fields: set[str] | None) -> None:
    assert fields_of_list(text) == fields


def test_one_statement_brings_the_active_rules_of_one_integration(either_desk: TokenDesk) -> None:
    first, second = either_desk.register("One"), either_desk.register("Two")
    for integration in (first, second):
        either_desk.token(integration)
    with either_desk.app.app_context():
        db.session.query(OAuthEntityScope).delete()
        db.session.query(SysApiAccessScope).delete()
        for number, (name, entity) in enumerate([("deploy", first), ("empty", first), ("read", second)]):
            scope = SysAuthScope(name=name, sys_id=str(number) * 32)
            db.session.merge(scope)
            db.session.add(OAuthEntityScope(entity=entity.sys_id, scope=scope.sys_id))
        db.session.flush()
        names = ("rest_api", "http_method", "version", "table")
        for scope, rule, active in [("0", CREATE, True), ("0", READ_OWN, False), ("2", READ_OWN, True)]:
            fields = dict(zip(names, rule, strict=False))
            own, writable = bool(rule[4]), rule[5]
            db.session.add(
                SysApiAccessScope(scope=scope * 32, own_records=own, writable_fields=writable, active=active, **fields)
            )
        db.session.commit()
        exchanges = select(rules_of_entity(OAuthExchange.entity))
        of_each = (exchanges.where(OAuthExchange.entity == one.sys_id) for one in (first, second))
        statements = (*of_each, select(all_rules()))
        ones, twos, every = (db.session.execute(statement).scalar() for statement in statements)

    # PostgreSQL has booleans where SQLite has numbers: they are equal here.
    assert sorted(json.loads(ones)) == [["deploy", "0" * 32, *CREATE], ["empty", "1" * 32, *NO_RULE]]
    assert json.loads(twos) == [["read", "2" * 32, *READ_OWN]]
    assert sorted(json.loads(every)) == [[*READ_OWN], [*CREATE]]


def test_one_statement_brings_nothing_where_there_are_no_rules(either_desk: TokenDesk) -> None:
    with either_desk.app.app_context():
        db.session.query(SysApiAccessScope).delete()
        assert db.session.execute(select(all_rules())).scalar() is None


def test_names_of_scopes_may_contain_any_character(either_desk: TokenDesk) -> None:
    name = 'a"b\\c\x1f\x1e[],é'
    integration = either_desk.register("One")
    either_desk.token(integration)
    with either_desk.app.app_context():
        db.session.query(OAuthEntityScope).delete()
        db.session.add(SysAuthScope(name=name, sys_id="1" * 32))
        db.session.flush()
        db.session.add(OAuthEntityScope(entity=integration.sys_id, scope="1" * 32))
        db.session.commit()
        rules = select(rules_of_entity(OAuthExchange.entity)).where(OAuthExchange.entity == integration.sys_id)
        assert held_scopes(db.session.execute(rules).scalar(), None) == (name,)
