"""Which tables a token reads, beside the one that it calls."""

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import CallLimits, ScopePolicy, ScopeRule
from changegate.services.tables.registry import get_table
from changegate.services.tables.visibility import (
    Restriction,
    fields_beside,
    may_read,
    parameters_of,
    restriction_of,
    visibility,
    visible_rows,
    visible_rows_of,
)


def reader(policy: ScopePolicy) -> Permissions:
    return Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "s", policy))


def read_by(policy: ScopePolicy) -> list[str]:
    names = ("change_request", "task", "sysapproval_approver")
    return [name for name in names if may_read(get_table(name), reader(policy))]


OWN = CallLimits.of_rule(None, own_records=True)
CHANGES = ScopeRule("now/table", "GET", "*", "change_request")


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (ScopePolicy(), []),
        (ScopePolicy((CHANGES,)), ["change_request", "task"]),
        (ScopePolicy((ScopeRule("now/stats", "*", "v1", "task"),)), ["change_request", "task"]),
        (ScopePolicy((ScopeRule("now/attachment", "GET", "*", "*"),)), []),
        (ScopePolicy((ScopeRule("now/table", "*", "*", "*"),)), ["change_request", "task", "sysapproval_approver"]),
        # Approvals do not store the integration, so own_records covers none.
        (ScopePolicy((ScopeRule("now/table", "*", "*", "*", OWN),)), ["change_request", "task"]),
        (ScopePolicy((ScopeRule("sn_chg_rest/change", "GET", "v1", "change_request"),)), ["change_request", "task"]),
        # The version does not exist, and the path that answers approvals does not show them.
        (ScopePolicy((ScopeRule("sn_chg_rest/change", "GET", "v2", "change_request"),)), []),
        (ScopePolicy(has_everything=True), ["change_request", "task", "sysapproval_approver"]),
        (ScopePolicy(protected=()), ["change_request", "task", "sysapproval_approver"]),
        (ScopePolicy(has_everything=True, named=(CHANGES,)), ["change_request", "task"]),
    ],
)
def test_a_token_reads_what_a_call_of_its_own_would_read(policy: ScopePolicy, names: list[str]) -> None:
    assert read_by(policy) == names


def test_an_api_opens_no_table_that_it_does_not_serve() -> None:
    """A rule for every table, or none at all, must not make a token a reader of users through the Change API."""
    users = get_table("sys_user")
    through_changes = ScopePolicy((ScopeRule("sn_chg_rest/change", "*", "*", "*"),))
    protected = tuple(ScopeRule(api, "GET", "*", "sys_user") for api in ("now/table", "now/stats"))

    for policy in (through_changes, ScopePolicy(protected=protected)):
        assert fields_beside(users, reader(policy)) == users.public_fields
    assert fields_beside(users, reader(ScopePolicy(protected=()))) != users.public_fields


PERSON, ADMINISTRATOR = (Permissions(frozenset(roles)) for roles in ((), ("admin",)))
BOTH = [PERSON, ADMINISTRATOR]
LIMITED = Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "s", limits_now=OWN))


@pytest.mark.parametrize(
    ("table", "people"),
    [
        ("sys_user", [PERSON, ADMINISTRATOR]),
        ("change_request", [PERSON, ADMINISTRATOR]),
        ("sys_auth_scope", [ADMINISTRATOR]),
    ],
)
def test_people_read_what_their_roles_allow(table: str, people: list[Permissions]) -> None:
    assert [person for person in BOTH if may_read(get_table(table), person)] == people


def test_a_table_is_private_to_a_token_that_may_not_read_it() -> None:
    users = get_table("sys_user")
    private = set(users.fields_for(ADMINISTRATOR)) - set(users.public_fields)
    assert private
    assert private <= set(fields_beside(users, ADMINISTRATOR))
    assert private <= set(fields_beside(users, reader(ScopePolicy((ScopeRule("now/table", "GET", "*", "sys_user"),)))))
    assert not private & set(fields_beside(users, reader(ScopePolicy((CHANGES,)))))
    assert not private & set(fields_beside(users, PERSON))


def parameters_beside(permissions: Permissions) -> set[str]:
    """Return what the rows of changes are compared with where another table leads to them."""
    changes = get_table("change_request")
    (*_, clause) = visible_rows_of(changes, changes.source.alias("joined"), permissions)
    return {"owner", "integration"} & set(clause.compile().params)


@pytest.mark.parametrize(
    ("permissions", "parameters"),
    [
        (PERSON, {"owner"}),
        (ADMINISTRATOR, set()),
        (reader(ScopePolicy()), set()),
        (reader(ScopePolicy((CHANGES,))), set()),
        (reader(ScopePolicy((ScopeRule("now/table", "GET", "*", "change_request", OWN),))), {"integration"}),
        (reader(ScopePolicy((ScopeRule("now/table", "GET", "*", "change_request", OWN), CHANGES))), set()),
    ],
    ids=["a person", "an administrator", "no rule", "every change", "own changes", "own changes and every change"],
)
def test_another_table_leads_to_the_rows_that_the_caller_may_see(
    permissions: Permissions, parameters: set[str]
) -> None:
    assert parameters_beside(permissions) == parameters


def test_the_caller_is_kept_to_what_roles_and_rules_say(app: Flask) -> None:
    changes = get_table("change_request")
    assert restriction_of(changes, PERSON) == Restriction(own_rows=True)
    assert restriction_of(changes, ADMINISTRATOR) == Restriction()
    assert restriction_of(changes, LIMITED) == Restriction(own_records=True)
    assert restriction_of(get_table("sys_user"), LIMITED) == Restriction()
    token = Caller("a" * 32, "root", LIMITED)
    with app.app_context():
        restriction, values = visibility(changes, token)
        of_person = parameters_of(Caller("b" * 32, "ann", PERSON))
    assert restriction == Restriction(own_records=True)
    assert (values["owner"], values["integration"]) == ("a" * 32, "e" * 32)
    assert (of_person["owner"], of_person["integration"]) == ("b" * 32, None)


OWN_CHANGES = "task.sys_class_name = :sys_class_name_1 AND task.oauth_entity = :integration"


@pytest.mark.parametrize(
    ("name", "alias", "permissions", "clause"),
    [
        ("change_request", None, LIMITED, f"WHERE {OWN_CHANGES}"),
        (
            "change_request",
            "joined",
            LIMITED,
            f"WHERE EXISTS (SELECT 1 AS anon_1 FROM task WHERE task.sys_id = joined.sys_id AND {OWN_CHANGES})",
        ),
        ("change_request", "joined", ADMINISTRATOR, "WHERE joined.sys_class_name = :sys_class_name_1"),
        ("sys_user", None, ADMINISTRATOR, ""),
        ("sys_user", "joined", LIMITED, ""),
    ],
)
def test_rows_are_of_the_class_and_of_the_integration(
    name: str, alias: str | None, permissions: Permissions, clause: str
) -> None:
    table = get_table(name)
    source = table.source.alias(alias) if alias else table.source
    statement = str(select(source.c["sys_id"]).where(*visible_rows_of(table, source, permissions)))
    _, _, rules = " ".join(statement.replace(":param_1", "1").split()).partition(f" FROM {table.source.name}")
    assert rules.removeprefix(f" AS {alias}").strip() == clause


def test_the_clause_for_own_rows_is_built_once() -> None:
    first, second = (visible_rows(get_table("change_request"), Restriction(own_rows=True))[-1] for _ in range(2))
    assert first is second
