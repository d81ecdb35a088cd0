"""What roles permit, and what a person may do and why."""

import re

import pytest
from flask import Flask

from changegate.cli.instance import working_on
from changegate.extensions import db
from changegate.models import (
    OAuthEntity,
    SysGroupHasRole,
    SysUser,
    SysUserDelegate,
    SysUserGroup,
    SysUserGroupMember,
    SysUserIdentity,
    SysUserRole,
)
from changegate.models.base import utc_now
from changegate.seed.first_start import ROLES
from changegate.services.access.permissions import Permissions, expand_roles
from changegate.services.catalog.grants import FURTHER, OPERATIONS, READ, abilities_of, permit_of
from changegate.services.integrations.saving import Registered
from changegate.services.tables.registry import NOBODY, TABLES, get_table
from tests.console.conftest import SignIn
from tests.console.people.conftest import add_user, page_of, sys_id_of
from tests.console.visitor import Visitor

ADMIN, EVERYONE = "admin", ()


def words(text: str) -> str:
    """Return the text of a page without its tags."""
    return " ".join(re.sub("<[^>]+>", " ", text.partition("<main")[2]).split())


def section(text: str, heading: str) -> str:
    """Return the words of a section of a page, by the id of its heading."""
    return words("<main" + text.partition(f'id="{heading}"')[2].partition("</section>")[0])


@pytest.mark.parametrize("roles", ["", *ROLES, "itil,oauth_admin"])
def test_a_permit_agrees_with_the_access_of_the_table(roles: str) -> None:
    held = expand_roles(roles)
    for table in TABLES.values():
        for operation in OPERATIONS:
            permit = permit_of(table, operation, held)
            assert permit.is_allowed == table.access.admits(operation, Permissions(held)), (table.name, operation)
            assert permit.roles != (NOBODY,)
        reads_all = table.own_rows is None or Permissions(held).has_role(table.reads_all)
        permit = permit_of(table, READ, held)
        assert permit.is_limited == (permit.is_allowed and not reads_all), table.name


@pytest.mark.parametrize("role", [*ROLES])
def test_the_abilities_of_a_role_are_what_it_adds_to_those_it_contains(role: str) -> None:
    contained = expand_roles(role) - {role}
    for table in TABLES.values():
        listed = {word for words, tables in abilities_of(role) if table in tables for word in words.lower().split()}
        for operation, label in OPERATIONS.items():
            held = permit_of(table, operation, expand_roles(role)), permit_of(table, operation, contained)
            more, less = ((permit.is_allowed, permit.is_limited) for permit in held)
            # Administrators hold every role, so that only what no other one permits is listed.
            others = {name for name in ROLES if name != ADMIN}
            is_added = more != less and (role != ADMIN or permit_of(table, operation, others) == held[1])
            assert (label.lower() in {word.strip(",") for word in listed}) == is_added, (table.name, operation)


def test_every_role_has_its_words_on_the_page(sign_in: SignIn) -> None:
    page = sign_in("nora").open("/roles")
    assert page.status_code == 200
    for role, description in ROLES.items():
        assert f'id="{role}"' in page.text
        assert description in page.text
    text = words(page.text)
    assert "Contains itil and sn_change_write , and permits what these do." in text
    assert "Delete Change requests , Change tasks , Standard change proposals" in text
    assert all(sentence in text for sentences in FURTHER.values() for sentence in sentences)
    assert FURTHER.keys() <= ROLES.keys()


def test_the_page_of_roles_links_only_lists_that_the_user_may_open(sign_in: SignIn, admin: Visitor) -> None:
    nora = sign_in("nora")
    paths = set(re.findall(r'<dd><a href="([^"]+)"|, <a href="([^"]+)"', nora.open("/roles").text))
    assert {nora.open(first or later).status_code for first, later in paths} == {200}
    assert 'href="/inbound-integrations"' in admin.open("/roles").text.partition('class="page-head"')[2]


def test_a_role_that_nothing_names_permits_nothing(admin: Visitor) -> None:
    admin.send(admin.open("/records/sys_user_role/new"), "record", {"name": "gardener"})
    assert "Permits nothing by itself." in words(admin.open("/roles").text)


@pytest.fixture
def nora(app: Flask) -> str:
    """Return a user with roles of both kinds, a delegation, and an identity."""
    sys_id = add_user(app, "nora", "sn_change_read")
    with working_on(app):
        group = db.session.query(SysUserGroup).filter_by(name="CAB Approval").one().sys_id
        role = db.session.query(SysUserRole).filter_by(name="change_manager").one().sys_id
        db.session.add(SysUserGroupMember(user=sys_id, group=group))
        db.session.add(SysGroupHasRole(group=group, role=role))
        admin = db.session.query(SysUser).filter_by(user_name="admin").one().sys_id
        ends = utc_now().replace(year=utc_now().year + 1, day=1)
        db.session.add(SysUserDelegate(user=admin, delegate=sys_id, starts=utc_now(), ends=ends))
        db.session.add(SysUserIdentity(user=sys_id, issuer="https://idp.example.com", subject="nora-7"))
        db.session.commit()
    return sys_id


def test_the_page_of_access_gives_each_reason(admin: Visitor, nora: str) -> None:
    page = admin.open(f"/people/{nora}/access").text
    roles = section(page, "roles")
    assert "change_manager of the group CAB Approval" in roles
    assert "itil change_manager contains it" in roles
    assert "sn_change_read it is assigned to the user" in roles
    approvals = section(page, "approvals")
    assert "Normal change: CAB A member of the CAB It asks the group CAB Approval." in approvals
    assert "It asks the group in the field assignment_group of the change, if the user is a member." in approvals
    assert "It asks the user in the field assignment_group.manager of the change." in approvals
    assert "System Administrator nora" in section(page, "delegations")
    assert "https://idp.example.com nora-7" in section(page, "identities")
    tables = section(page, "tables")
    assert re.search(r"Change requests[^Y]*Yes change_manager , sn_change_read", tables)
    assert "No needs admin or mi_admin or oauth_admin" in tables
    assert "Users answer the approvals that ask them, and those delegated to them." in tables


def test_the_page_says_why_somebody_is_not_asked_or_cannot_sign_in(app: Flask, admin: Visitor, nora: str) -> None:
    with working_on(app):
        user = db.session.get_one(SysUser, nora)
        user.active = False
        user.user_password = None
        db.session.commit()
    page = words(admin.open(f"/people/{nora}/access").text)
    assert "This user cannot sign in with a password. The account is inactive. The account has no password." in page
    assert "Not asked The account is inactive." in page


def test_the_page_lists_integrations(app: Flask, admin: Visitor, nora: str, integration: Registered) -> None:
    with working_on(app):
        entity = db.session.query(OAuthEntity).filter_by(client_id=integration.entity.client_id).one()
        entity.owner = entity.run_as = nora
        name = entity.name
        db.session.commit()
    path = f"/people/{nora}/access"
    assert f"{name} Owner, Its tokens act as this user" in section(admin.open(path).text, "integrations")
    with working_on(app):
        entity = db.session.query(OAuthEntity).filter_by(client_id=integration.entity.client_id).one()
        entity.owner = entity.run_as = None
        entity.owner_group = db.session.query(SysUserGroup).filter_by(name="CAB Approval").one().sys_id
        db.session.commit()
    assert f"{name} Owner by a group" in section(admin.open(path).text, "integrations")


def test_people_see_their_own_access_and_not_that_of_others(app: Flask, sign_in: SignIn) -> None:
    kim = sign_in("kim")
    own = kim.open(f"/people/{sys_id_of(app, 'kim')}/access")
    assert own.status_code == 200
    assert "What you may do" in words(own.text)
    assert "No role." in section(own.text, "roles")
    assert 'id="approvals"' not in own.text
    assert 'id="integrations"' not in own.text
    assert kim.open(f"/people/{sys_id_of(app, 'admin')}/access").status_code == 403
    assert sign_in("ida", "oauth_admin").open(f"/people/{sys_id_of(app, 'kim')}/access").status_code == 200


def test_the_access_of_nobody_is_not_found(admin: Visitor) -> None:
    assert admin.open(f"/people/{'0' * 32}/access").status_code == 404


def test_a_users_page_names_roles_that_are_held_indirectly(admin: Visitor, sign_in: SignIn, nora: str) -> None:
    page = words(admin.open(page_of("sys_user", nora)).text)
    assert "change_manager (by the group CAB Approval)" in page
    assert "itil (within change_manager)" in page
    assert "Also held" not in words(sign_in("kim").open(page_of("sys_user", nora)).text)


def test_administrators_are_covered_by_their_role() -> None:
    assert permit_of(get_table("change_request"), "delete", {ADMIN}).roles == (ADMIN,)
    assert permit_of(get_table("sys_audit"), "create", {ADMIN}) == permit_of(get_table("sys_audit"), "create", ())


def test_owners_find_their_integration(app: Flask, sign_in: SignIn, integration: Registered) -> None:
    kim = sign_in("kim")
    with working_on(app):
        entity = db.session.query(OAuthEntity).filter_by(client_id=integration.entity.client_id).one()
        entity.owner = db.session.query(SysUser).filter_by(user_name="kim").one().sys_id
        db.session.commit()
    path = f"/inbound-integrations/{integration.entity.client_id}"
    assert f'href="{path}"' in kim.open(f"/people/{sys_id_of(app, 'kim')}/access").text
    assert kim.open(path).status_code == 200
