"""What rules of scopes allow, alone and together."""

import pytest

from changegate.services.access.scope_policy import NO_LIMITS, ApiCall, CallLimits, ScopePolicy, ScopeRule

CREATE = ApiCall("now/table", "POST", "change_request")
READ = ApiCall("now/table", "GET", "change_request")
USERS = ApiCall("now/table", "GET", "sys_user")
RULE = ScopeRule("now/table", "POST", "*", "change_request")
CALLS = [CREATE, READ, USERS, ApiCall("now/stats", "GET", "change_request")]


def allowed(policy: ScopePolicy) -> list[ApiCall]:
    return [call for call in CALLS if policy.limits_of(call) is not None]


@pytest.mark.parametrize(
    ("rule", "covered"),
    [
        (RULE, [CREATE]),
        (ScopeRule("now/table", "*", "*", "change_request"), [CREATE, READ]),
        (ScopeRule("now/table", "GET", "*", "*"), [READ, USERS]),
        (ScopeRule("now/table", "*", "v2", "*"), [CREATE, READ, USERS]),
        (ScopeRule("now/table", "*", "v1", "*"), []),
        (ScopeRule("*", "*", "*", "*"), []),
        (ScopeRule("now/table", "POST", "*", ""), []),
    ],
)
def test_a_star_stands_for_every_method_version_or_table(rule: ScopeRule, covered: list[ApiCall]) -> None:
    assert allowed(ScopePolicy((rule,))) == covered


def test_a_rule_for_a_version_is_for_no_other() -> None:
    policy = ScopePolicy((ScopeRule("now/table", "POST", "v1", "change_request"),))
    assert policy.limits_of(ApiCall("now/table", "POST", "change_request", "v1")) == NO_LIMITS
    assert policy.limits_of(CREATE) is None


def test_useraccount_is_everything() -> None:
    assert allowed(ScopePolicy(has_everything=True)) == CALLS


def test_calls_that_no_scope_protects_are_allowed_if_switched_on() -> None:
    protected = (RULE, ScopeRule("now/table", "GET", "*", "change_request"))
    assert allowed(ScopePolicy((RULE,), protected=protected)) == [CREATE, *CALLS[2:]]
    assert allowed(ScopePolicy((RULE,), protected=None)) == [CREATE]
    assert allowed(ScopePolicy(protected=())) == CALLS


def test_a_token_kept_to_named_calls_makes_no_others_whatever_its_scopes() -> None:
    assert allowed(ScopePolicy(has_everything=True, named=(RULE,))) == [CREATE]
    assert allowed(ScopePolicy(protected=(), named=())) == []
    # Named by a scope of the integration that this token did not ask for: that gives nothing.
    assert allowed(ScopePolicy(protected=(RULE,), named=(RULE,))) == []


OWN = CallLimits.of_rule(None, own_records=True)
COMMENTING = CallLimits.of_rule(frozenset({"work_notes"}), own_records=False)


def test_rules_add_up_to_no_more_than_each_gives() -> None:
    both = OWN.or_else(COMMENTING)
    assert both == COMMENTING.or_else(OWN)
    assert (both.own_records, both.writable_fields, both.fields_elsewhere) == (False, None, {"work_notes"})


def test_a_call_that_several_rules_cover_has_their_combined_rights() -> None:
    rules = [
        ScopeRule("now/table", "POST", "*", "change_request", CallLimits.of_rule(frozenset({name}), own_records=own))
        for name, own in [("state", False), ("priority", True), ("work_notes", False)]
    ]
    every, elsewhere = frozenset({"state", "priority", "work_notes"}), frozenset({"state", "work_notes"})
    assert ScopePolicy(tuple(rules)).limits_of(CREATE) == CallLimits(every, False, elsewhere)
    assert ScopePolicy((*rules, RULE)).limits_of(CREATE) == NO_LIMITS


def test_the_limits_of_two_calls_at_once_are_those_of_both() -> None:
    assert OWN.and_also(COMMENTING) == CallLimits(frozenset({"work_notes"}), True, frozenset())
    assert NO_LIMITS.and_also(COMMENTING) == COMMENTING.and_also(NO_LIMITS) == COMMENTING


def test_a_policy_caches_its_decisions() -> None:
    policy = ScopePolicy((RULE,))
    assert policy.limits_of(CREATE) is policy.limits_of(CREATE)
    assert (policy.limits_of(READ), policy.limits_of(READ)) == (None, None)
