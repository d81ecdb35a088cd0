"""Who is calling, and what that allows."""

import pytest

from changegate.errors import AccessRefused, ScopeMissing
from changegate.services.access.caller import Caller, TokenGrant, expand_roles
from changegate.services.access.scope_policy import NO_LIMITS, ApiCall, CallLimits, ScopePolicy, ScopeRule

CREATE = ApiCall("now/table", "POST", "change_request")


def caller(*roles: str, grant: TokenGrant | None = None) -> Caller:
    return Caller("a" * 32, "ann", frozenset(roles), grant)


@pytest.mark.parametrize(
    ("held", "contained"),
    [
        ([], set()),
        (["itil"], {"itil"}),
        (["change_manager"], {"change_manager", "itil", "sn_change_write"}),
        (["mi_admin", "itil"], {"mi_admin", "oauth_admin", "itil"}),
    ],
)
def test_a_role_holds_the_roles_that_it_contains(held: list[str], contained: set[str]) -> None:
    assert expand_roles(",".join(held)) == contained


def test_the_administrator_holds_every_role() -> None:
    assert caller("admin").has_role({"whatever"})
    assert caller("admin").has_role(())


def test_a_role_is_held_or_refused_with_its_reason() -> None:
    caller("itil").require_role({"itil", "change_manager"}, "x")
    with pytest.raises(AccessRefused) as refused:
        caller("itil").require_role({"change_manager"}, "ACL Exception Delete Failed")
    assert (refused.value.status, refused.value.detail) == (403, "ACL Exception Delete Failed")


def test_a_token_does_what_its_scopes_cover_whatever_the_roles_of_its_user() -> None:
    policy = ScopePolicy((ScopeRule("now/table", "POST", "*", "change_request"),))
    bearer = caller("admin", grant=TokenGrant("e" * 32, "change_request.create", policy))
    bearer.require_scope(CREATE)
    for call in (
        ApiCall("now/table", "GET", "change_request"),
        ApiCall("now/table", "POST", "sys_user"),
        ApiCall("now/stats", "POST", "change_request"),
    ):
        with pytest.raises(ScopeMissing, match="Missing required api access scope"):
            bearer.require_scope(call)


def test_a_token_without_scopes_does_nothing() -> None:
    with pytest.raises(ScopeMissing):
        caller("admin", grant=TokenGrant("e" * 32, "")).require_scope(CREATE)


def test_a_user_without_a_token_has_no_scopes_to_miss() -> None:
    caller().require_scope(CREATE)


def test_a_request_that_is_several_calls_goes_as_far_as_all_of_them_together() -> None:
    read, other = ApiCall("now/table", "GET", "change_request"), ApiCall("now/table", "GET", "task")
    rules = (
        ScopeRule("now/table", "POST", "*", "change_request", CallLimits(frozenset({"state", "priority"}))),
        ScopeRule("now/table", "GET", "*", "change_request", CallLimits(frozenset({"state"}), own_records=True)),
    )
    policy = ScopePolicy(rules)
    bearer = caller(grant=TokenGrant("e" * 32, "deploy", policy))
    assert [bearer.has_scope(call) for call in (CREATE, read, other)] == [True, True, False]
    within = bearer.within([CREATE, read]).grant
    assert within is not None
    assert (within.limits_now.writable_fields, within.limits_now.own_records) == (frozenset({"state"}), True)
    assert (within.entity, within.policy) == ("e" * 32, policy)
    none_at_all = bearer.within([]).grant
    assert none_at_all is not None
    assert none_at_all.limits_now == NO_LIMITS


def test_who_comes_without_a_token_misses_no_scope() -> None:
    person = caller("itil")
    assert person.has_scope(CREATE)
    assert person.within([CREATE]) is person
