"""Scopes and rules as they are sent: what is refused, and rules in one line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from changegate.errors import InputInvalid
from changegate.schemas.auth_scope import AuthScopeSchema, ScopeRuleSchema, load_scope, load_scope_change
from changegate.schemas.scope_rule_text import parse_rule_text, render_rule_text

READ = {"rest_api": "now/table", "http_method": "GET", "table": "change_request"}


def refused(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(InputInvalid) as caught:
        load_scope({"name": "deploy", "rules": [{**READ, **changes}]})
    return caught.value.fields


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"http_method": "HEAD"}, "Must be one of: GET, POST, PUT, PATCH, DELETE, *."),
        (
            {"rest_api": "now/import"},
            "Must be one of: now/table, now/stats, now/attachment, sn_chg_rest/change, oauth/introspect.",
        ),
        ({"version": "v3"}, "Must be one of: v1, v2, *."),
        ({"rest_api": "now/stats", "http_method": "POST"}, "The Aggregate API has no POST; it has GET."),
        ({"rest_api": "sn_chg_rest/change", "version": "v2"}, "The Change Management API has no v2; it has v1."),
        (
            {"rest_api": "sn_chg_rest/change", "http_method": "PUT"},
            "The Change Management API has no PUT; it has GET, POST, PATCH, DELETE.",
        ),
        (
            {"rest_api": "sn_chg_rest/change", "http_method": "DELETE", "writable_fields": ["state"]},
            "DELETE of the Change Management API writes no fields.",
        ),
        ({"table": None}, "Name the table, or * for all tables."),
        ({"table": "change%"}, "Give the name of a table, or * for all tables."),
        ({"table": "ta\nsk"}, "Give the name of a table, or * for all tables."),
        ({"rest_api": "oauth/introspect", "http_method": "POST"}, "The Introspection API does not have tables."),
        ({"writable_fields": ["description"]}, "GET of the Table API writes no fields."),
        ({"http_method": "PATCH", "writable_fields": []}, "Name 1 to 100 fields, or leave them out for all fields."),
        ({"http_method": "PATCH", "writable_fields": ["a,b"]}, "Give names of fields."),
        ({"rest_api": "oauth/introspect", "http_method": "POST", "table": "*", "own_records": True}, "have records."),
        ({"own": True}, "Unknown field."),
    ],
)
def test_refuses_rules_that_say_less_or_more_than_they_seem_to(changes: dict[str, Any], sentence: str) -> None:
    [said] = refused(**changes)["rules"]
    assert said.endswith(sentence)


@pytest.mark.parametrize("name", ["", " ", "two words", "a,b", "a/b", ".a", "é", "a" * 101, "a\nb", "a\x1fb", 7])
def test_refuses_names_that_cannot_be_asked_for(name: Any) -> None:
    with pytest.raises(InputInvalid) as caught:
        load_scope({"name": name})
    assert list(caught.value.fields) == ["name"]


@pytest.mark.parametrize("rules", [None, "GET table task", [None], [7], [[]], ["GET table task"] * 2, [{}] * 101])
def test_refuses_rules_that_are_no_list_of_different_rules(rules: Any) -> None:
    with pytest.raises(InputInvalid) as caught:
        load_scope({"name": "deploy", "rules": rules})
    assert list(caught.value.fields) == ["rules"]


@pytest.mark.parametrize("sent", [None, [], "x", 7])
def test_refuses_an_invalid_scope(sent: Any) -> None:
    with pytest.raises(ValidationError):
        AuthScopeSchema().load(sent)


def test_a_change_keeps_omitted_fields() -> None:
    stored = load_scope({"name": "deploy", "description": "x", "rules": [READ]})
    assert load_scope_change({"description": ""}, stored) == {**stored, "description": None}
    assert load_scope_change({"rules": []}, stored) == {**stored, "rules": []}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("get table change_request", READ),
        ("GET now/table change_request", READ),
        (
            "POST table change_request fields=short_description,Description own",
            READ
            | {"http_method": "POST", "writable_fields": ["description", "short_description"], "own_records": True},
        ),
        ("* attachment * version=v1 inactive", {"rest_api": "now/attachment", "version": "v1", "active": False}),
        ("POST introspect", {"rest_api": "oauth/introspect", "http_method": "POST", "table": "*"}),
    ],
)
def test_a_line_is_a_rule(line: str, fields: dict[str, Any]) -> None:
    usual = {"http_method": "*", "version": "*", "table": "*", "active": True}
    limits = {"writable_fields": None, "own_records": False}
    assert ScopeRuleSchema().load(line) == {**usual, **limits, **fields}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET",
        "GET table task mine",
        "GET table task own own",
        "PATCH table task fields=",
        "GET table",
        "GET bunk task",
    ],
)
def test_a_line_that_is_no_rule_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        ScopeRuleSchema().load(line)


@given(
    method=st.sampled_from(["*", "POST", "PATCH"]),
    table=st.sampled_from(["*", "change_request", "own"]),
    version=st.sampled_from(["*", "v1", "v2"]),
    names=st.none() | st.sets(st.sampled_from(["description", "own", "active"]), min_size=1),
    own=st.booleans(),
    active=st.booleans(),
)
def test_a_rule_survives_being_written_as_a_line(names: set[str] | None, own: bool, active: bool, **named: str) -> None:
    limits = {"own_records": own, "active": active, "writable_fields": None if names is None else sorted(names)}
    sent = {"http_method": named["method"], "table": named["table"], "version": named["version"]}
    rule = ScopeRuleSchema().load({"rest_api": "now/table", **sent, **limits})
    assert ScopeRuleSchema().load(render_rule_text(rule)) == rule


@given(st.text(max_size=60))
def test_any_line_is_a_rule_or_refused(line: str) -> None:
    try:
        assert parse_rule_text(line).keys() >= {"http_method", "rest_api"}
    except ValidationError as refusal:
        assert refusal.messages
