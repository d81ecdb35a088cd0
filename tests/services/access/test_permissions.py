"""What a caller may do: roles, and the scopes of a token."""

import pytest

from changegate.errors import AccessRefused, ScopeMissing
from changegate.services.access.permissions import Permissions, TokenGrant, expand_roles
from changegate.services.access.scope_policy import NO_LIMITS, ApiCall, CallLimits, ScopePolicy, ScopeRule

CREATE = ApiCall("now/table", "POST", "change_request")


def permissions(*roles: str, grant: TokenGrant | None = None) -> Permissions:
    return Permissions(frozenset(roles), grant)


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
    assert permissions("admin").has_role({"whatever"})
    assert permissions("admin").has_role(())


def test_a_role_is_held_or_refused_with_its_reason() -> None:
    permissions("itil").require_role({"itil", "change_manager"}, "x")
    with pytest.raises(AccessRefused) as refused:
        permissions("itil").require_role({"change_manager"}, "ACL Exception Delete Failed")
    assert (refused.value.status, refused.value.detail) == (403, "ACL Exception Delete Failed")


def test_a_token_may_do_what_its_scopes_cover_whatever_the_roles_of_its_user() -> None:
    policy = ScopePolicy((ScopeRule("now/table", "POST", "*", "change_request"),))
    bearer = permissions("admin", grant=TokenGrant("e" * 32, "change_request.create", policy))
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
        permissions("admin", grant=TokenGrant("e" * 32, "")).require_scope(CREATE)


def test_a_user_without_a_token_has_no_scopes_to_miss() -> None:
    permissions().require_scope(CREATE)


def test_a_request_of_several_calls_has_their_combined_limits() -> None:
    read, other = ApiCall("now/table", "GET", "change_request"), ApiCall("now/table", "GET", "task")
    rules = (
        ScopeRule("now/table", "POST", "*", "change_request", CallLimits(frozenset({"state", "priority"}))),
        ScopeRule("now/table", "GET", "*", "change_request", CallLimits(frozenset({"state"}), own_records=True)),
    )
    policy = ScopePolicy(rules)
    bearer = permissions(grant=TokenGrant("e" * 32, "deploy", policy))
    assert [bearer.has_scope(call) for call in (CREATE, read, other)] == [True, True, False]
    within = bearer.within([CREATE, read]).grant
    assert within is not None
    assert (within.limits_now.writable_fields, within.limits_now.own_records) == (frozenset({"state"}), True)
    assert (within.entity, within.policy) == ("e" * 32, policy)
    none_at_all = bearer.within([]).grant
    assert none_at_all is not None
    assert none_at_all.limits_now == NO_LIMITS


def test_a_caller_without_a_token_needs_no_scope() -> None:
    person = permissions("itil")
    assert person.has_scope(CREATE)
    assert person.within([CREATE]) is person


LIMITS = CallLimits(frozenset({"state", "work_notes"}), fields_elsewhere=frozenset({"work_notes"}))


@pytest.mark.parametrize(
    ("created_by", "fields", "refused"),
    [
        ("e" * 32, {"state", "work_notes"}, None),
        ("e" * 32, {"state", "priority", "impact"}, "impact"),
        ("f" * 32, {"work_notes"}, None),
        ("f" * 32, {"work_notes", "state"}, "state"),
        (None, {"state"}, "state"),
        (None, set(), None),
    ],
)
def test_a_token_writes_the_fields_that_its_call_may(
    created_by: str | None, fields: set[str], refused: str | None
) -> None:
    bearer = permissions("admin", grant=TokenGrant("e" * 32, "deploy", limits_now=LIMITS))
    if refused is None:
        bearer.require_writable(fields, created_by)
    else:
        with pytest.raises(AccessRefused) as caught:
            bearer.require_writable(fields, created_by)
        assert caught.value.detail == f"The access token may not write the field {refused}"
    permissions().require_writable(fields, created_by)
    permissions(grant=TokenGrant("e" * 32, "deploy")).require_writable(fields, created_by)


def test_permissions_have_the_limits_of_the_current_call() -> None:
    policy = ScopePolicy((ScopeRule("now/table", "POST", "*", "change_request", LIMITS),))
    bearer = permissions("admin", grant=TokenGrant("e" * 32, "deploy", policy))
    limited = bearer.require_scope(CREATE)
    assert limited.grant is not None
    assert (limited.grant.limits_now, limited.grant.policy, limited.roles) == (LIMITS, policy, bearer.roles)
    assert limited.require_scope(CREATE) is limited
    assert permissions().require_scope(CREATE) == permissions()


def test_roles_are_held_by_name() -> None:
    assert permissions("itil", "oauth_admin").has_role({"oauth_admin", "mi_admin"})
    assert not permissions("itil").has_role({"oauth_admin"})
    assert not permissions().has_role(())
