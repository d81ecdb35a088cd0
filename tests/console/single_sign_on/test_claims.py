"""Groups and roles from claims."""

import pytest

from changegate.errors import InputInvalid
from changegate.services.single_sign_on.providers import get_provider
from tests.console.conftest import PASSWORD
from tests.console.single_sign_on.conftest import MARIA, NADIA, SignOnDesk, Window, query_of, way_of

MANAGERS = "change-managers"


@pytest.fixture
def group(desk: SignOnDesk) -> str:
    return desk.create("sys_user_group", name="Board")


def test_gives_the_groups_and_roles_of_the_claims(desk: SignOnDesk, window: Window, group: str) -> None:
    desk.map(MANAGERS, group=group)
    desk.map(MANAGERS, role="change_manager")
    desk.map("engineers", role="admin")
    window.sign_on(MARIA)
    maria = desk.records["maria"]
    assert desk.groups(maria) == {"Board"}
    assert desk.roles(maria) == {"itil", "change_manager"}


def test_the_access_of_a_person_shows_what_claims_have_given(desk: SignOnDesk, window: Window, group: str) -> None:
    desk.map(MANAGERS, group=group)
    desk.map(MANAGERS, role="change_manager")
    desk.create("sys_group_has_role", group=group, role="approver_user")
    window.sign_on(MARIA)
    page = " ".join(window.open(f"/people/{desk.records['maria']}/access").text.split())
    assert "Demo IdP gives it by a claim mapping" in page
    assert "Board</a>, of which Demo IdP makes them a member" in page
    assert page.count("it is assigned to the user") == 1
    window.send(window.open("/"), "/logout")
    window.sign_in("admin", PASSWORD)
    shown = window.open(f"/records/sys_user/{desk.records['maria']}").text
    assert "approver_user</a> (by the group Board)" in shown and "change_manager</a> (" not in shown


def test_takes_back_only_what_a_mapping_has_given(
    desk: SignOnDesk, window: Window, other_window: Window, group: str
) -> None:
    maria = desk.records["maria"]
    by_hand = desk.create("sys_user_group", name="By hand")
    desk.create("sys_user_grmember", user=maria, group=by_hand)
    mappings = [desk.map(MANAGERS, group=each) for each in (group, by_hand)]
    mappings.append(desk.map(MANAGERS, role="itil"))
    window.sign_on(MARIA)
    assert desk.groups(maria) == {"Board", "By hand"}
    for mapping in mappings:
        desk.update("oidc_claim_mapping", mapping, value="others")
    other_window.sign_on(MARIA)
    assert desk.groups(maria) == {"By hand"}
    assert desk.roles(maria) == {"itil"}


def test_what_two_providers_give_stays_until_neither_does(
    desk: SignOnDesk, window: Window, other_window: Window, group: str
) -> None:
    maria = desk.records["maria"]
    first = desk.map(MANAGERS, group=group)
    window.sign_on(MARIA)
    second = desk.add_provider(name="Second", alias="second")
    desk.create("oidc_claim_mapping", provider="Second", claim="groups", value=MANAGERS, group=group)
    page = other_window.send(other_window.open("/login"), "/single-sign-on/second")
    other_window.come_back(other_window.answer_of(way_of(page), MARIA))
    desk.update("oidc_claim_mapping", first, value="others")
    Window(desk.app.test_client()).sign_on(MARIA)
    assert desk.groups(maria) == {"Board"}
    desk.delete("oidc_provider_configuration", second)
    assert desk.groups(maria) == set()


def test_deleting_a_provider_takes_back_what_it_gave(desk: SignOnDesk, window: Window, group: str) -> None:
    maria = desk.records["maria"]
    desk.map(MANAGERS, group=group)
    desk.map(MANAGERS, role="change_manager")
    window.sign_on(MARIA)
    desk.delete("oidc_provider_configuration", desk.provider)
    assert (desk.groups(maria), desk.roles(maria)) == (set(), {"itil"})
    assert window.name is None


def test_a_membership_that_an_administrator_removed_comes_back_with_the_claim(
    desk: SignOnDesk, window: Window, other_window: Window, group: str
) -> None:
    desk.map(MANAGERS, group=group)
    window.sign_on(MARIA)
    desk.delete("sys_user_group", group)
    other = desk.create("sys_user_group", name="Board")
    desk.map(MANAGERS, group=other)
    assert other_window.sign_on(MARIA).status_code == 302
    assert desk.groups(desk.records["maria"]) == {"Board"}


def test_claims_are_named_by_pointer_and_texts_are_compared_as_a_whole(
    desk: SignOnDesk, window: Window, group: str
) -> None:
    mapping = desk.map("NADIA.BERG@example.com", claim="/email", group=group)
    desk.link(desk.add_user("nadia"), NADIA)
    window.sign_on(NADIA)
    nadia = desk.user("nadia").sys_id
    assert desk.groups(nadia) == set()
    desk.update("oidc_claim_mapping", mapping, value="nadia.berg@example.com")
    Window(desk.app.test_client()).sign_on(NADIA)
    assert desk.groups(nadia) == {"Board"}


def test_the_last_administrator_keeps_the_role(desk: SignOnDesk, window: Window, other_window: Window) -> None:
    """A claim that ends cannot leave the instance without an administrator who has a password."""
    mapping = desk.map(MANAGERS, role="admin")
    window.sign_on(MARIA)
    desk.update("sys_user", desk.user("admin").sys_id, active="false")
    desk.update("oidc_claim_mapping", mapping, value="others")
    page = other_window.sign_on(MARIA)
    assert (page.status_code, desk.last_event().reason) == (403, "rule_refused")
    assert "without an active administrator" in desk.last_event().detail
    assert desk.roles(desk.records["maria"]) == {"itil", "admin"}
    assert other_window.sign_in("maria", PASSWORD).location == "/"


def test_a_refused_rule_leaves_no_new_user(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    desk.update("sys_user", desk.user("admin").sys_id, name="Administrator")
    desk.map("engineers", role="itil")
    assert window.sign_on(NADIA).status_code == 302
    assert desk.roles(desk.user("nadia.berg").sys_id) == {"itil"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "group"),
        ({"group": "Board", "role": "itil"}, "group"),
        ({"group": "Board", "claim": "/a~b"}, "claim"),
        ({"group": "Board", "claim": ""}, "claim"),
    ],
)
def test_a_mapping_gives_one_group_or_role_for_a_claim(
    desk: SignOnDesk, group: str, fields: dict[str, str], named: str
) -> None:
    assert group
    with pytest.raises(InputInvalid) as refusal:
        desk.map("x", **fields)
    assert refusal.value.fields.keys() == {named}


@pytest.mark.parametrize(
    "fields",
    [
        {"alias": "With Space"},
        {"alias": "-x"},
        {"alias": "ä"},
        {"alias": "a/b"},
        {"scopes": "profile"},
        {"name_claim": "/a~b"},
    ],
)
def test_a_provider_with_unusable_values_is_refused(desk: SignOnDesk, fields: dict[str, str]) -> None:
    with pytest.raises(InputInvalid) as refusal:
        desk.add_provider(**{"name": "Another", "alias": "another", **fields})
    assert refusal.value.fields.keys() == fields.keys()


def test_a_signed_in_user_links_their_account(desk: SignOnDesk, window: Window, other_window: Window) -> None:
    desk.add_user("nadia", "itil")
    window.sign_in("nadia", PASSWORD)
    fields = {"provider": "demo", "current_password": PASSWORD}
    page = window.send(window.open("/preferences/single-sign-on"), "link", fields)
    assert query_of(way_of(page))["client_id"] == "change-desk"
    assert window.come_back(window.answer_of(way_of(page), NADIA)).location == "/preferences/single-sign-on"
    shown = window.open("/preferences/single-sign-on").text
    assert "Your account at Demo IdP is linked" in shown and NADIA in shown
    assert 'id="link"' not in shown
    other_window.sign_on(NADIA)
    assert other_window.name == "nadia"


def test_no_account_is_linked_at_an_unknown_provider(desk: SignOnDesk, window: Window) -> None:
    window.sign_in("maria", PASSWORD)
    desk.add_provider(name="Second", alias="second", issuer="http://127.0.0.1:9")
    fields = {"provider": "nothing", "current_password": PASSWORD}
    assert window.send(window.open("/preferences/single-sign-on"), "link", fields).status_code == 404


def test_an_administrator_sees_the_redirect_uri_and_tests_the_connection(desk: SignOnDesk, window: Window) -> None:
    window.sign_in("admin", PASSWORD)
    path = f"/records/oidc_provider_configuration/{desk.provider}"
    page = window.open(path)
    assert "https://change.example.com/single-sign-on/demo/callback" in page.text
    assert "New claim mapping" in page.text
    assert window.send(page, "/identity-providers/demo/check").location == path
    assert f"People sign in at {desk.idp}/authorize" in window.open(path).text
    desk.update("oidc_provider_configuration", desk.provider, issuer="http://127.0.0.1:9", active="false")
    window.send(page, "/identity-providers/demo/check")
    assert "The provider cannot be used. " in window.open(path).text


def test_the_form_of_a_provider_keeps_the_secret(desk: SignOnDesk, window: Window) -> None:
    window.sign_in("admin", PASSWORD)
    path = f"/records/oidc_provider_configuration/{desk.provider}"
    window.send(window.open(path), "record", {"client_secret": "a secret"})
    window.send(window.open(path), "record", {"name": "Renamed"})
    with desk.app.app_context():
        assert (get_provider("demo").name, get_provider("demo").client_secret) == ("Renamed", "a secret")
