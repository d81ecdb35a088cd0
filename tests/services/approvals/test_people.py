"""Which accounts belong to one person, and who may be asked."""

import pytest

from changegate.extensions import db
from changegate.models import SysUserHasRole, SysUserRole
from changegate.models.sys_user import FORMER_EMAIL
from changegate.services.approvals.people import list_faults, person_keys
from tests.support.people import ROOT, add_account

pytestmark = pytest.mark.usefixtures("either_app_context")
ISSUER = "https://idp.example.com"


def is_one_person(*users: str) -> bool:
    return len(set(person_keys(users).values())) == 1


def test_accounts_with_nothing_in_common_belong_to_two_people() -> None:
    assert not is_one_person(add_account("ann"), add_account("bob"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"employee_number": "E-1"}, {"employee_number": "e-1"}),
        ({"email": "ann@example.com", "email_verified": True}, {"email": "Ann@Example.com", "email_verified": True}),
        ({"email": "ann@example.com", "email_verified": True}, {"email": "ann@example.com"}),
        ({"email": "Änn@example.com", "email_verified": True}, {"email": "Änn@example.com"}),
        ({"email": "Änn@example.com", "email_verified": True}, {"email": "änN@example.com"}),
        ({"employee_number": "É-1"}, {"employee_number": "é-1"}),
    ],
    ids=["employee number", "verified emails", "one of the emails is verified", "letters outside ASCII", "case", "É"],
)
def test_a_shared_trait_makes_one_person(one: dict[str, object], other: dict[str, object]) -> None:
    assert is_one_person(add_account("ann", **one), add_account("ann.admin", **other))


@pytest.mark.parametrize("former", ["ann@example.com", "ANN@example.com"])
def test_a_former_email_makes_one_person(former: str) -> None:
    ann = add_account("ann", (FORMER_EMAIL, former), email="new@example.com", email_verified=True)
    assert is_one_person(ann, add_account("ann.admin", email="ann@example.com"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"email": "team@example.com"}, {"email": "team@example.com"}),
        ({"employee_number": ""}, {"employee_number": ""}),
        ({"email": "", "email_verified": True}, {"email": "", "email_verified": True}),
        ({"email": "e-1", "email_verified": True}, {"employee_number": "e-1"}),
        ({"email": "änn@example.com", "email_verified": True}, {"email": "önn@example.com"}),
        ({"email": "ä%", "email_verified": True}, {"email": "änn@example.com"}),
    ],
    ids=["emails that are not verified", "empty numbers", "empty emails", "different kinds", "ä and ö", "a pattern"],
)
def test_other_equal_values_do_not(one: dict[str, object], other: dict[str, object]) -> None:
    assert not is_one_person(add_account("ann", **one), add_account("bob", **other))


def test_an_identity_is_an_issuer_and_a_subject() -> None:
    ann, same = add_account("ann", (ISSUER, "Ann-7")), add_account("ann2", ("https://x", "1"), (ISSUER, "ann-7"))
    other_issuer = add_account("bob", ("https://other.example.com", "Ann-7"))

    assert is_one_person(ann, same)
    assert not is_one_person(ann, other_issuer)


def test_two_accounts_are_one_person_through_a_third() -> None:
    first = add_account("one", employee_number="E-1")
    add_account("two", (ISSUER, "s"), employee_number="E-1", email="a@example.com", email_verified=True)
    third, fourth = add_account("three", email="a@example.com"), add_account("four", (ISSUER, "s"))

    assert is_one_person(first, third, fourth)
    assert not is_one_person(first, ROOT.sys_id)


def test_a_verified_email_connects_all_accounts_that_have_it() -> None:
    first, third = (add_account(name, email="team@example.com") for name in ("one", "three"))
    assert not is_one_person(first, third)

    add_account("two", email="team@example.com", email_verified=True)
    assert is_one_person(first, third)


def test_inactive_and_locked_people_may_not_be_asked() -> None:
    fit, inactive = add_account("ann"), add_account("bob", active=False)
    locked = add_account("eve", locked_out=True)

    assert list_faults([fit, inactive, locked, "0" * 32]) == {
        inactive: "the account is inactive",
        locked: "the account is locked out",
        "0" * 32: "the account is inactive",
    }


def test_people_without_the_role_of_a_rule_may_not_be_asked() -> None:
    manager, other = add_account("ann"), add_account("bob")
    role = db.session.query(SysUserRole).filter_by(name="change_manager").one()
    db.session.add(SysUserHasRole(user=manager, role=role.sys_id))
    db.session.flush()

    # change_manager includes itil.
    assert list_faults([manager, other], "itil") == {other: "the account does not have the role itil"}
