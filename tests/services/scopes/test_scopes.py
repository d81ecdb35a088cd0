"""Scopes: made, changed and deleted, and what they allow in a sentence."""

import pytest

from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import USERACCOUNT
from changegate.schemas.auth_scope import load_scope, load_scope_change
from changegate.seed.scopes import SCOPES, seed_scopes
from changegate.services.scopes import scopes
from changegate.services.scopes.scopes import (
    create_scope,
    delete_scope,
    fields_of_scope,
    get_scope,
    list_scopes,
    list_uses,
    update_scope,
    used_by,
)
from changegate.services.scopes.sentences import describe_rule, describe_scope
from tests.support.token_desk import TokenDesk


def make(name: str, *rules: str, description: str | None = None) -> SysAuthScope:
    made = create_scope(load_scope({"name": name, "description": description, "rules": [*rules]}), by="ann")
    db.session.commit()
    return made


def refused(name: str, *rules: str) -> dict[str, list[str]]:
    with pytest.raises(InputInvalid) as caught:
        make(name, *rules)
    return caught.value.fields


def edit(scope: SysAuthScope, **changes: object) -> dict[str, scopes.Change]:
    done = update_scope(scope, load_scope_change(changes, fields_of_scope(scope)), by="bob")
    db.session.commit()
    return done


def test_a_scope_is_stored_as_given(desk: TokenDesk) -> None:
    made = make("deploy", "POST table change_request fields=description,work_notes own", description="To deploy")

    assert fields_of_scope(get_scope("deploy")) == {
        "name": "deploy",
        "description": "To deploy",
        "rules": [
            {
                "rest_api": "now/table",
                "http_method": "POST",
                "version": "*",
                "table": "change_request",
                "active": True,
                "writable_fields": ["description", "work_notes"],
                "own_records": True,
            }
        ],
    }
    assert (made.sys_created_by, made.rules[0].sys_created_by) == ("ann", "ann")
    with pytest.raises(RecordNotFound):
        get_scope("Deploy")


@pytest.mark.parametrize("name", ["", "\0", "a\0", "\ud800", "é"])
def test_an_unknown_name_is_not_found(either_desk: TokenDesk, name: str) -> None:
    with either_desk.app.app_context(), pytest.raises(RecordNotFound):
        get_scope(name)


def test_a_change_that_changes_nothing_writes_nothing(desk: TokenDesk) -> None:
    made = make("deploy", "POST table change_request", "GET table change_request")
    before = made.sys_mod_count

    assert edit(made, rules=["GET table change_request", "POST table change_request"]) == {}
    assert (made.sys_mod_count, made.sys_updated_by) == (before, "ann")


def test_a_change_keeps_the_records_of_the_rules_that_stay(desk: TokenDesk) -> None:
    made = make("deploy", "POST table change_request", "GET table change_request")
    kept = {rule.http_method: rule.sys_id for rule in made.rules}

    done = edit(made, rules=["POST table change_request own", "PATCH table change_request"])

    assert list(done) == ["rules"]
    db.session.expire_all()
    assert {rule.http_method: rule.own_records for rule in made.rules} == {"POST": True, "PATCH": False}
    assert [rule.sys_id for rule in made.rules if rule.http_method == "POST"] == [kept["POST"]]
    assert db.session.get(SysApiAccessScope, kept["GET"]) is None
    assert (made.sys_mod_count, made.sys_updated_by) == (1, "bob")


def test_names_are_unique_without_case(desk: TokenDesk) -> None:
    make("deploy")
    assert refused("Deploy") == {"name": ["There is an auth scope deploy already."]}
    other = make("release")
    with pytest.raises(InputInvalid, match="deploy already"):
        edit(other, name="DEPLOY")
    assert list(edit(get_scope("deploy"), name="Deploy")) == ["name"]


def test_a_name_taken_at_the_same_time_is_refused(desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    make("deploy")
    monkeypatch.setattr(scopes, "_require_free_name", lambda *_: None)
    assert refused("deploy") == {"name": ["There is an auth scope deploy already."]}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("POST table incidents", "There is no table incidents."),
        ("POST table change_request fields=shortdescription", "no field shortdescription to be written in change_req"),
        ("PATCH table change_request fields=sys_created_by", "no field sys_created_by to be written in change_request"),
        ("PATCH table change_request fields=oauth_entity", "There is no field oauth_entity to be written"),
        ("PATCH table * fields=bunk", "There is no field bunk to be written in any table."),
        ("GET table sys_user own", "Table sys_user does not store the integration"),
        ("GET change incident", "The Change Management API does not serve the table incident."),
        ("PATCH change * fields=bunk", "There is no field bunk to be written in any table."),
        ("GET change chg_model own", "Table chg_model does not store the integration"),
    ],
)
def test_rules_speak_of_tables_and_fields_that_there_are(desk: TokenDesk, rule: str, sentence: str) -> None:
    [said] = refused("deploy", rule)["rules"]
    assert sentence in said
    with pytest.raises(InputInvalid, match=sentence.split()[-1].rstrip(".")):
        edit(make("empty"), rules=[rule])


def test_journals_can_be_written_and_own_files_are_known(desk: TokenDesk) -> None:
    made = make("deploy", "PATCH table * fields=work_notes own", "POST attachment change_request own")
    assert len(made.rules) == 2


def test_a_scope_in_use_cannot_be_deleted_or_renamed(desk: TokenDesk) -> None:
    made = make("deploy")
    for number in range(6):
        desk.register(f"Pipeline {number}", scopes=["deploy"])

    listed = "Pipeline 0, Pipeline 1, Pipeline 2, Pipeline 3, Pipeline 4 and 1 more"
    with pytest.raises(InputInvalid, match=listed):
        delete_scope(made)
    with pytest.raises(InputInvalid, match=listed):
        edit(made, name="release")
    assert [entity.name for entity in used_by(made)] == [f"Pipeline {number}" for number in range(6)]
    assert [name for _, name in list_uses()[made.sys_id]] == [f"Pipeline {number}" for number in range(6)]


def test_a_scope_assigned_at_the_same_time_is_not_deleted(desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make("deploy")
    desk.register(scopes=["deploy"])
    monkeypatch.setattr(scopes, "_require_unused", lambda *_: None)
    with pytest.raises(InputInvalid, match="used by an integration"):
        delete_scope(made)
    assert get_scope("deploy").sys_id == made.sys_id


def test_a_scope_goes_with_its_rules(desk: TokenDesk) -> None:
    made = make("deploy", "POST table change_request")
    rule = made.rules[0].sys_id
    delete_scope(made)
    db.session.commit()
    assert db.session.get(SysApiAccessScope, rule) is None
    assert "deploy" not in [scope.name for scope in list_scopes()]


def test_useraccount_is_built_in(desk: TokenDesk) -> None:
    found = get_scope("useraccount")
    assert found.sys_id == USERACCOUNT
    for changes in ({"name": "all"}, {"rules": ["GET table change_request"]}):
        with pytest.raises(InputInvalid, match="useraccount is built in"):
            edit(found, **changes)
        db.session.rollback()
    with pytest.raises(InputInvalid, match="useraccount is built in"):
        delete_scope(found)
    assert list(edit(found, description="Use with care")) == ["description"]


def test_the_shipped_scopes_have_descriptions(desk: TokenDesk) -> None:
    assert {scope.name: describe_scope(scope) for scope in list_scopes()} == {
        "approval.answer": (
            "May update approvals, setting only comments and state; "
            "may answer approvals through the Change Management API."
        ),
        "change_request.create": "May create change requests, also through the Change Management API.",
        "change_request.create_standard": (
            "May create change requests from and read standard change templates through the Change Management API."
        ),
        "change_request.read": (
            "May read change requests, also through the Change Management API; "
            "may count and sum up change requests; may read the files of change requests."
        ),
        "change_request.read_own": (
            "May read change requests that it created, also through the Change Management API; "
            "may count and sum up change requests that it created."
        ),
        "change_request.update_own": (
            "May update change requests that it created, also through the Change Management API."
        ),
        "token.introspect": "May introspect any access token.",
        "useraccount": "May do everything that its user may do.",
    }
    assert all(scope.description for scope in list_scopes())


def test_seeding_again_changes_nothing_and_adds_what_was_deleted(desk: TokenDesk) -> None:
    before = {scope.sys_id: scope.sys_mod_count for scope in list_scopes()}
    seed_scopes()
    assert {scope.sys_id: scope.sys_mod_count for scope in list_scopes()} == before
    delete_scope(get_scope("change_request.read"))
    seed_scopes()
    assert [scope.name for scope in list_scopes()] == sorted(SCOPES)


def test_an_instance_that_had_a_useraccount_of_its_own_keeps_it(desk: TokenDesk) -> None:
    db.session.delete(get_scope("useraccount"))
    db.session.flush()
    own = make("useraccount", "GET table change_request")
    seed_scopes()
    assert get_scope("useraccount") is own
    assert describe_scope(own) == "May read change requests."


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([], "Allows nothing: it has no active rule."),
        (["GET table change_request inactive"], "Allows nothing: it has no active rule."),
        (
            ["POST table change_request fields=short_description,description own", "GET table change_request own"],
            "May create change requests, setting only description and short_description; "
            "may read change requests that it created.",
        ),
        (["* table incident"], "May create, read, update and delete incidents."),
        (["* stats task_ci"], "May count and sum up affected CIs."),
        (["PATCH table change_task"], "May update change tasks by PATCH only."),
        (["GET table * version=v1"], "May read records of every table under v1."),
        (
            ["* attachment change_request own"],
            "May attach files to, read the files of, rename the files of and delete the files of "
            "change requests that it created.",
        ),
        (["GET table sys_dictionary"], "May read dictionary entries."),
        (
            ["* change change_request own version=v1", "* change sysapproval_approver"],
            "May create change requests through the Change Management API under v1; "
            "may read, update and delete change requests that it created "
            "through the Change Management API under v1; "
            "may answer approvals through the Change Management API.",
        ),
        (
            ["PUT table change_request fields=description", "PATCH table change_request fields=description"],
            "May update change requests, setting only description.",
        ),
    ],
)
def test_a_scope_has_a_description_of_its_rules(desk: TokenDesk, rules: list[str], sentence: str) -> None:
    assert describe_scope(make("deploy", *rules)) == sentence


def test_a_rule_has_a_description(desk: TokenDesk) -> None:
    made = make("deploy", "GET table change_request own inactive", "POST table change_request")
    assert sorted(map(describe_rule, made.rules)) == [
        "May create change requests.",
        "May read change requests that it created (switched off).",
    ]


def test_rules_made_by_other_hands_are_described_too(desk: TokenDesk) -> None:
    by_hand = {"writable_fields": " ,", "http_method": "PATCH"}
    odd = [
        SysApiAccessScope(rest_api="now/table", table="gone", **by_hand),
        SysApiAccessScope(rest_api="now/cmdb", http_method="*", table="cmdb_ci"),
    ]
    scope = SysAuthScope(name="odd", rules=odd)
    assert describe_scope(scope).startswith("Allows nothing")  # not active before the defaults are written
    db.session.add(scope)
    db.session.flush()
    assert describe_scope(scope) == (
        "May update records of gone by PATCH only, setting no field; may call * of now/cmdb for configuration items."
    )
