"""The caller: who makes a request, with their permissions."""

from functools import lru_cache

import pytest

from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import ApiCall, CallLimits, ScopePolicy, ScopeRule

LIMITS = CallLimits(frozenset({"state"}))
READ = ApiCall("now/table", "GET", "change_request")
GRANT = TokenGrant("e" * 32, "deploy", ScopePolicy((ScopeRule("now/table", "GET", "*", "change_request", LIMITS),)))
USER = Caller("a" * 32, "ann", Permissions(frozenset({"itil"})))
TOKEN = Caller("a" * 32, "ann", Permissions(frozenset({"itil"}), GRANT))


def test_long_requests_are_counted_by_user_and_integration() -> None:
    assert USER.account == ("a" * 32, "")
    assert TOKEN.account == ("a" * 32, "e" * 32)


def test_the_limits_of_a_call_leave_the_person_as_they_are() -> None:
    for limited in (TOKEN.require_scope(READ), TOKEN.within([READ])):
        assert (limited.sys_id, limited.user_name, limited.roles) == ("a" * 32, "ann", {"itil"})
        assert limited.grant is not None
        assert (limited.grant.limits_now, limited.grant.policy) == (LIMITS, GRANT.policy)
        assert limited.require_scope(READ) is limited
    assert USER.require_scope(READ) is USER
    assert USER.within([READ]) is USER


def test_a_caller_cannot_be_the_key_of_a_cache() -> None:
    fields_of = lru_cache(lambda key: key.roles)
    assert fields_of(USER.permissions) == {"itil"}
    with pytest.raises(TypeError, match="unhashable"):
        fields_of(USER)
