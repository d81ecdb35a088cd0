"""ServiceNow's deep links: they redirect to the record in the console, and to no other site."""

from urllib.parse import quote

import pytest

from tests.console.conftest import ADMIN_PASSWORD, MakeChange, SignIn
from tests.console.visitor import Visitor

ELSEWHERE = [
    "https://evil.example",
    "//evil.example/change_request.do?sys_id=x",
    "https://evil.example/change_request.do?sys_id=x",
    "javascript:change_request.do?sys_id=x",
    "\\\\evil.example",
    "http://[",
    "payroll.do?sys_id=x",
    "login?next=https://evil.example",
    "../change_request.do",
    "change_request.do",
    "change_request.do?sys_id=",
    "change_request.do?sysparm_query=number=CHG9999999",
    "change_request.do?sysparm_query=number=\x00",
    "",
]
ENCODED = [
    "/nav_to.do?uri=change_request.do?sys_id={0}",
    "/nav_to.do?uri=/change_request.do?sys_id={0}",
    "/nav_to.do?uri=change_request.do%3Fsys_id%3D{0}",
    "/nav_to.do?uri=%2Fchange_request.do%3Fsys_id%3D{0}%26sysparm_view%3D",
    "/nav_to.do?uri=change_request.do?sysparm_view=x&sys_id={0}",
    "/change_request.do?sys_id={0}",
    "/change_request.do?sys_id={0}&sysparm_view=portal",
    "/change_request.do?sysparm_query=number=CHG0030001",
]


@pytest.mark.parametrize("link", ENCODED)
def test_a_link_leads_to_the_record(admin: Visitor, make_change: MakeChange, link: str) -> None:
    sys_id = make_change(short_description="Renew the certificate")
    answer = admin.open(link.format(sys_id))
    assert (answer.status_code, answer.location) == (302, f"/change-requests/{sys_id}")
    assert "Renew the certificate" in admin.open(answer.location).text


@pytest.mark.parametrize("link", ["/change_request_list.do", "/nav_to.do?uri=change_request_list.do"])
def test_a_link_leads_to_the_list(admin: Visitor, link: str) -> None:
    answer = admin.open(link)
    assert (answer.status_code, answer.location) == (302, "/change-requests")


@pytest.mark.parametrize("table", ["change_request", "sys_user"])
def test_the_filter_of_a_link_is_the_filter_of_the_list(admin: Visitor, table: str) -> None:
    answer = admin.open(f"/nav_to.do?uri={table}_list.do%3Fsysparm_query%3Dactive%3Dtrue")
    assert "Active is true" in admin.open(str(answer.location)).text


def test_a_link_leads_to_the_first_record_that_a_query_finds(admin: Visitor) -> None:
    answer = admin.open("/sys_user.do?sysparm_query=user_name=admin")
    assert answer.location == "/records/sys_user/6816f79cc0a8016401c5a33be04be441"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_link_leads_nowhere_else(admin: Visitor, target: str) -> None:
    answer = admin.open(f"/nav_to.do?uri={quote(target)}")
    assert (answer.status_code, answer.location) == (404, None)
    assert "<h1>Not found</h1>" in answer.text


@pytest.mark.parametrize("sys_id", ["0" * 32, "-1", "../login", "//evil.example", "%00"])
def test_an_unknown_record_is_a_404_on_this_site(admin: Visitor, sys_id: str) -> None:
    answer = admin.open(f"/change_request.do?sys_id={sys_id}")
    assert answer.status_code == 404 or str(answer.location).startswith("/change-requests/")
    assert admin.client.get(f"/change_request.do?sys_id={sys_id}", follow_redirects=True).status_code == 404


@pytest.mark.parametrize("link", ENCODED)
def test_the_login_keeps_the_target(visitor: Visitor, make_change: MakeChange, link: str) -> None:
    sys_id = make_change()
    login = visitor.open(link.format(sys_id))
    assert str(login.location).startswith("/login?next=")
    back = visitor.sign_in("admin", ADMIN_PASSWORD, str(login.location))
    assert visitor.open(str(back.location)).location == f"/change-requests/{sys_id}"


def test_a_number_finds_no_change_that_its_reader_may_not_see(sign_in: SignIn, make_change: MakeChange) -> None:
    make_change()
    answer = sign_in("guest").open("/change_request.do?sysparm_query=number=CHG0030001")
    assert answer.status_code == 404
