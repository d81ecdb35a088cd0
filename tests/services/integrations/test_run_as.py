"""The account that tokens act as."""

import pytest

from changegate.errors import AdministratorRequired, InputInvalid
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.integrations.run_as import (
    MAX_USER_NAME_LENGTH,
    create_account,
    list_account_warnings,
    may_create_accounts,
    propose_account,
)
from changegate.services.users.accounts import caller_of, create_user, get_user

pytestmark = pytest.mark.usefixtures("app_context")


def caller(*roles: str) -> Caller:
    return Caller("0" * 32, "somebody", Permissions(frozenset(roles)))


def test_only_administrators_create_an_account_and_only_with_one_role() -> None:
    for roles in (("oauth_admin",), ("mi_admin", "oauth_admin"), ("change_manager",), ()):
        assert not may_create_accounts(caller(*roles))
        with pytest.raises(AdministratorRequired):
            create_account("shop.bot", caller(*roles))
    made = create_account("shop.bot", caller("admin"))
    assert caller_of(made).roles == {"sn_change_write"}
    assert list_account_warnings("Shop.Bot") == []


@pytest.mark.parametrize("user_name", ["", "a:b", "x" * (MAX_USER_NAME_LENGTH + 1), "a\u202eb", "ADMIN"])
def test_an_account_needs_a_sound_and_unused_name(user_name: str) -> None:
    with pytest.raises(InputInvalid) as refusal:
        create_account(user_name, caller("admin"))
    assert [*refusal.value.fields] == ["new_account"]


def test_warns_of_accounts_that_should_not_or_cannot_create_changes() -> None:
    create_user(user_name="reader", password=None, email=None, name=None, roles=["sn_change_read"])
    create_user(user_name="writer", password=None, email=None, name=None, roles=["itil"])
    assert "is an administrator" in list_account_warnings("ADMIN")[0]
    assert "may not create changes" in list_account_warnings("reader")[0]
    assert list_account_warnings("writer") == []
    assert list_account_warnings("nobody") == []
    assert get_user("writer")


@pytest.mark.parametrize(
    ("name", "account"),
    [("GitHub Actions", "github-actions.bot"), ("!!!", "automation.bot"), ("x" * 100, "x" * 32 + ".bot")],
)
def test_proposes_a_user_name_of_its_own(name: str, account: str) -> None:
    assert propose_account(name) == account
    create_user(user_name=account, password=None, email=None, name=None, roles=[])
    second = propose_account(name)
    assert second == f"{account}-2"
    assert len(second) <= MAX_USER_NAME_LENGTH
