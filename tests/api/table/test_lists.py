"""Lists: counting, paging, sorting and the first operators of the encoded query.

See docs/reference/table-api.md, docs/reference/encoded-queries.md.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from changegate.database import connection
from changegate.extensions import db
from changegate.models import Task
from tests.conftest import BASE_URL
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

V1 = "/api/now/v1/table/change_request"
V2 = "/api/now/v2/table/change_request"
LINK = re.compile(r'<([^>]+)>;rel="(\w+)"')


@pytest.fixture
def seven(api: TableApi) -> list[dict[str, Any]]:
    return [api.created(short_description=f"number {digit}", priority=1 + digit % 4) for digit in range(7)]


def links(response: Any) -> dict[str, str]:
    """Return the offsets of the Link header by relation, after a look at what all have in common."""
    found = {}
    for address, relation in LINK.findall(response.headers["Link"]):
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{BASE_URL}{CHANGES}"
        found[relation] = parse_qs(parts.query)
    return {relation: query["sysparm_offset"][0] for relation, query in found.items()}


@pytest.mark.parametrize("path", [CHANGES, V2, f"{CHANGES}/"])
def test_answers_an_empty_list_with_a_count_of_nothing(api: TableApi, path: str) -> None:
    api.path = path
    response = api.page()
    assert (response.status_code, response.get_json()) == (200, {"result": []})
    assert response.headers["X-Total-Count"] == "0"
    assert "Link" not in response.headers


@pytest.mark.parametrize("params", [{"query": "number=CHG0000000"}, {"offset": "1"}])
def test_answers_404_to_version_1_where_nothing_matches(api: TableApi, params: dict[str, str]) -> None:
    api.created()
    api.path = V1
    assert api.page().status_code == 200
    response = api.page(**params)
    assert response.status_code == 404
    text = "Records matching query not found. Check query parameter or offset parameter"
    assert error_of(response) == ("No Record found", text)


def test_counts_all_that_match_whatever_the_page(api: TableApi, seven: list[dict[str, Any]]) -> None:
    response = api.page(query="priorityIN1,2", limit=1, offset=1)
    assert response.headers["X-Total-Count"] == "4"
    assert len(result_of(response)) == 1
    assert api.page(offset=100).headers["X-Total-Count"] == "7"
    assert result_of(api.page(offset=100)) == []


def test_sends_no_link_where_everything_fits_in_one_page(api: TableApi, seven: list[dict[str, Any]]) -> None:
    assert "Link" not in api.page().headers
    assert "Link" not in api.page(limit=7).headers


def test_links_the_neighbours_of_a_middle_page(api: TableApi, seven: list[dict[str, Any]]) -> None:
    response = api.page(query="active=true", limit=2, offset=2)
    assert links(response) == {"first": "0", "prev": "0", "next": "4", "last": "6"}
    header = response.headers["Link"]
    assert header.count("sysparm_query=active%3Dtrue") == header.count("sysparm_limit=2") == 4
    assert ", " not in header


def test_links_no_page_before_the_first_or_after_the_last(api: TableApi, seven: list[dict[str, Any]]) -> None:
    assert links(api.page(limit=3)) == {"first": "0", "next": "3", "last": "6"}
    assert links(api.page(limit=3, offset=6)) == {"first": "0", "prev": "3", "last": "6"}


def test_drops_the_links_and_keeps_the_count_on_request(api: TableApi, seven: list[dict[str, Any]]) -> None:
    response = api.page(limit=2, suppress_pagination_header="true")
    assert "Link" not in response.headers
    assert response.headers["X-Total-Count"] == "7"


def followed(client: FlaskClient, admin: dict[str, str], api: TableApi, **params: Any) -> list[str]:
    """Return the numbers of all records, by the links from one page to the next."""
    return [number for numbers in pages_from(client, admin, api.page(**params)) for number in numbers]


def pages_from(client: FlaskClient, admin: dict[str, str], response: Any) -> Iterator[list[str]]:
    """Yield the numbers of the records of each page, from a response on, by the links from one page to the next."""
    for _ in range(10):
        yield [record["number"] for record in result_of(response)]
        pages = {relation: address for address, relation in LINK.findall(response.headers.get("Link", ""))}
        if "next" not in pages:
            break
        response = client.get(pages["next"].removeprefix(BASE_URL), headers=admin)


ORDERS = ("", "ORDERBYnumber", "ORDERBYDESCnumber", "ORDERBYDESCsys_created_on", "ORDERBYpriority", "ORDERBYstart_date")


@pytest.mark.parametrize("no_count", ["true", "false"])
@pytest.mark.parametrize("query", [*ORDERS, "ORDERBYDESCpriority^ORDERBYnumber", "short_descriptionLIKEnumber"])
def test_the_links_lead_through_all_pages(
    client: FlaskClient, admin: dict[str, str], api: TableApi, seven: list[dict[str, Any]], query: str, no_count: str
) -> None:
    numbers = [record["number"] for record in result_of(api.page(query=query))]
    assert followed(client, admin, api, query=query, limit=2, no_count=no_count) == numbers


def test_a_link_begins_after_the_last_record_of_its_page(
    client: FlaskClient, admin: dict[str, str], api: TableApi, seven: list[dict[str, Any]]
) -> None:
    response = api.page(query="ORDERBYDESCnumber", limit=2)
    api.created()
    api.delete(seven[5]["sys_id"])
    [address] = [address for address, relation in LINK.findall(response.headers["Link"]) if relation == "next"]
    after = client.get(address.removeprefix(BASE_URL), headers=admin)
    assert [record["number"] for record in result_of(after)] == [seven[4]["number"], seven[3]["number"]]
    assert after.headers["X-Total-Count"] == "7"


@pytest.mark.parametrize(("removed", "added"), [(3, 0), (0, 3)])
def test_the_links_end_with_the_last_record_although_earlier_ones_come_and_go(
    client: FlaskClient, admin: dict[str, str], api: TableApi, seven: list[dict[str, Any]], removed: int, added: int
) -> None:
    numbers = [record["number"] for record in seven]
    first = api.page(query="ORDERBYDESCnumber", limit=3)
    for record in seven[7 - removed :]:
        api.delete(record["sys_id"])
    for _ in range(added):
        api.created()
    assert [*pages_from(client, admin, first)] == [numbers[:3:-1], numbers[3:0:-1], numbers[:1]]


@pytest.mark.parametrize("after", ["x", "f" * 32, "f" * 40, "f" * 32 + "\0"])
def test_a_place_that_no_page_has_is_ignored(api: TableApi, seven: list[dict[str, Any]], after: str) -> None:
    response = api.page(query="ORDERBYsys_created_on", limit=3, offset=3, after=after)
    assert result_of(response) == result_of(api.page(query="ORDERBYsys_created_on", limit=3, offset=3))


def test_leaves_out_count_and_last_page_on_request(api: TableApi, seven: list[dict[str, Any]]) -> None:
    response = api.page(limit=3, offset=3, no_count="true")
    assert links(response) == {"first": "0", "prev": "0", "next": "6"}
    assert "X-Total-Count" not in response.headers
    assert links(api.page(limit=3, offset=6, no_count="true")) == {"first": "0", "prev": "3"}
    assert "Link" not in api.page(limit=7, no_count="true").headers


def test_a_long_query_links_the_next_page_alone(
    client: FlaskClient, admin: dict[str, str], api: TableApi, seven: list[dict[str, Any]]
) -> None:
    response = api.page(query="^".join(["active=true"] * 300), limit=3, offset=3)
    assert links(response) == {"next": "6"}
    next_page = client.get(LINK.findall(response.headers["Link"])[0][0].removeprefix(BASE_URL), headers=admin)
    assert result_of(next_page) == result_of(api.page(limit=3, offset=6))
    assert "Link" not in next_page.headers


def test_a_link_that_no_client_could_read_is_left_out(api: TableApi, seven: list[dict[str, Any]]) -> None:
    response = api.page(query="^".join(["active=true"] * 5000), limit=3)
    assert (len(result_of(response)), response.headers["X-Total-Count"]) == (3, "7")
    assert "Link" not in response.headers


def test_pages_neither_overlap_nor_leave_gaps(api: TableApi, seven: list[dict[str, Any]]) -> None:
    numbers = [record["number"] for offset in (0, 3, 6) for record in result_of(api.page(limit=3, offset=offset))]
    assert sorted(numbers) == [record["number"] for record in seven]
    assert numbers == [record["number"] for record in result_of(api.page())]


@pytest.mark.parametrize("number", ["-1", "x", "", "1.5", "\u0663", "9" * 400])
def test_treats_invalid_limits_and_offsets_as_absent(api: TableApi, seven: list[dict[str, Any]], number: str) -> None:
    assert api.page(limit=number).status_code == 200
    assert api.page(offset=number).status_code == 200
    assert len(result_of(api.page(limit=number))) == 7


def test_the_last_of_a_repeated_parameter_wins(client: FlaskClient, admin: dict[str, str], api: TableApi) -> None:
    api.created()
    response = client.get(f"{CHANGES}?sysparm_fields=state&sysparm_fields=number", headers=admin)
    assert result_of(response) == [{"number": "CHG0030001"}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ORDERBYnumber", "0123456"),
        ("ORDERBYDESCnumber", "6543210"),
        ("ORDERBYpriority^ORDERBYDESCnumber", "4051623"),
        ("ORDERBYDESCpriority^ORDERBYnumber", "3261504"),
        ("ORDERBYDESCnumber^ORDERBYnumber", "6543210"),
        ("priority=1^NQpriority=4^ORDERBYnumber", "034"),
        ("ORDERBYDESCuser_password^ORDERBYnonsense^ORDERBYnumber", "0123456"),
        ("NUMBER=chg0030003", "2"),
        ("short_description=NUMBER 2", "2"),
        ("short_descriptionLIKEBER 2^ORshort_descriptionSTARTSWITHnumber 3^active=true^ORDERBYnumber", "23"),
        ("AAAA=BBBB^nonsense=1^priority=2^ORDERBYnumber", "15"),
        ("priority>2^ORDERBYnumber", "236"),
        ("priority=high^active=true^short_description=number 1", "1"),
        ("stateLIKE5^short_description=number 1", "1"),
        ("priority>^short_description=number 1", "1"),
        ("assigned_toISEMPTY^short_description=number 1^EQ", "1"),
        ("short_description==", ""),
        ("active!=false^ORDERBYnumber", "0123456"),
        ("active!=^ORDERBYnumber", "0123456"),
        ("active=^ORDERBYnumber", ""),
        ("requested_byISNOTEMPTY^numberNOT INCHG0030001,CHG0030002^priority!=4^ORDERBYnumber", "2456"),
        ("javascript:gs.getUserID()^short_description=number 1", "1"),
    ],
)
def test_applies_valid_terms_and_drops_invalid_ones(
    api: TableApi, seven: list[dict[str, Any]], query: str, found: str
) -> None:
    assert "".join(text.removeprefix("number ") for text in api.found(query)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"priority": "1"}, "04"),
        ({"priority": "3 - moderate"}, "26"),
        ({"PRIORITY": "4 - Low", "short_description": "NUMBER 3"}, "3"),
        ({"opened_by": "admin", "priority": "2"}, "15"),
        ({"opened_by": "system administrator", "priority": "2"}, "15"),
        ({"opened_by": "6816f79cc0a8016401c5a33be04be441", "priority": "2"}, "15"),
        ({"opened_by.user_name": "ADMIN", "priority": "2"}, "15"),
        ({"state": "new", "priority": "1"}, "04"),
        ({"state": "closed"}, ""),
        ({"nonsense": "1", "_": "1700000000", "priority": "1"}, "04"),
        ({"priority": ""}, "0123456"),
        ({"sysparm_nonsense": "1", "sysparm_query": "priority=1^NQpriority=2^ORDERBYnumber", "active": "true"}, "0145"),
        ({"sysparm_query": "priority=1^NQpriority=2^ORDERBYnumber", "short_description": "number 5"}, "5"),
    ],
)
def test_filters_by_names_and_values(
    api: TableApi, seven: list[dict[str, Any]], filters: dict[str, str], found: str
) -> None:
    query = {"sysparm_query": "ORDERBYnumber", "sysparm_fields": "short_description", **filters}
    response = api.client.get(CHANGES, query_string=query, headers=api.headers)
    assert "".join(record["short_description"].removeprefix("number ") for record in result_of(response)) == found
    assert response.headers["X-Total-Count"] == str(len(found))


def test_takes_wildcards_of_sql_literally(api: TableApi) -> None:
    for text in ("100% sure", "100 percent", "a_b", "axb", "a/b", "back\\slash"):
        api.created(short_description=text)
    assert api.found("short_descriptionLIKE0%") == ["100% sure"]
    assert api.found("short_descriptionLIKEA_B") == ["a_b"]
    assert api.found("short_descriptionSTARTSWITHa/") == ["a/b"]
    assert api.found("short_descriptionLIKEk\\s") == ["back\\slash"]
    assert api.found("short_descriptionLIKE%%%") == []


def test_takes_a_doubled_caret_for_a_literal_one(api: TableApi) -> None:
    api.created(short_description="a^b")
    api.created(short_description="a")
    assert api.found("short_description=a^^b") == ["a^b"]


def test_finds_text_beyond_ascii(api: TableApi) -> None:
    api.created(short_description="Ärger mit Öl")
    assert api.found("short_description=Ärger mit Öl") == ["Ärger mit Öl"]
    assert api.found("short_descriptionLIKEÖl") == ["Ärger mit Öl"]
    assert api.found("short_descriptionINx,Ärger mit Öl") == ["Ärger mit Öl"]


def test_survives_thousands_of_terms_that_mean_nothing(api: TableApi) -> None:
    api.created(short_description="kept")
    nonsense = "^".join(["AAAA=BBBB"] * 2300)
    assert api.found(f"{nonsense}^short_description=kept^ORDERBY{'^ORDERBYnumber' * 3000}") == ["kept"]


@pytest.mark.parametrize("joint", ["^", "^OR", "^NQ"])
def test_takes_thousands_of_conditions_and_refuses_more_with_a_sentence(api: TableApi, joint: str) -> None:
    api.created(short_description="kept")
    term = "short_description=kept"
    assert api.found(joint.join([term] * 2300)) == ["kept"]
    response = api.page(query=joint.join([term] * 10_001))
    assert response.status_code == 400
    expected = "The query has 10001 conditions and listed values; 10000 are admitted"
    assert error_of(response) == ("Exception while reading request", expected)


def test_takes_thousands_of_listed_values_and_refuses_more_with_a_sentence(api: TableApi) -> None:
    number = api.created()["number"]
    values = ",".join(f"CHG{index:07}" for index in range(9_999))
    assert api.found(f"numberIN{values},{number}", "number") == [number]
    response = api.page(query=f"numberIN{values},1,{number}")
    expected = "The query has 10001 conditions and listed values; 10000 are admitted"
    assert error_of(response) == ("Exception while reading request", expected)


HOSTILE = ["\0", "a\0b", "\x7f", "\u2028", "\U0001f600", "%00", "%ED%A0%80", "'; DROP TABLE task; --", "x" * 1000]
TERMS = ["{}", "{}=1", "short_description={}", "short_descriptionLIKE{}", "short_descriptionSTARTSWITH{}", "stateIN{}"]
MORE_TERMS = ["state>{}", "sys_created_on>{}", "active={}", "assigned_to={}", "ORDERBY{}", "numberNOT LIKE{}"]
NO_TEXT = ["%00", "%ED%A0%80", "%FF%FE", "%", "%%%", "+", "^^^", "%5E%5E%5E"]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_answers_every_hostile_query(api: TableApi, value: str) -> None:
    for term in TERMS + MORE_TERMS:
        assert api.page(query=term.format(value)).status_code == 200, term


def test_answers_queries_whose_bytes_are_no_text(client: FlaskClient, admin: dict[str, str]) -> None:
    for raw in NO_TEXT:
        for term in ("query=", "query=short_description%3D", "query=short_descriptionLIKE", "fields="):
            assert client.get(f"{CHANGES}?sysparm_{term}{raw}", headers=admin).status_code == 200, raw


def test_answers_head_with_headers_alone(app: Flask, admin: dict[str, str], api: TableApi) -> None:
    api.created()
    response = app.test_client().head(CHANGES, headers=admin)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["X-Total-Count"] == "1"


def test_sends_a_large_page_whole(app: Flask, api: TableApi) -> None:
    total = 1001
    rows = [
        {"sys_id": f"{at:032}", "number": f"CHG{at:07}", "sys_class_name": "change_request", "state": -5}
        for at in range(total)
    ]
    with app.app_context():
        connection().execute(insert(Task.__table__), rows)
        db.session.commit()
    response = api.page(query="ORDERBYnumber")
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert [record["number"] for record in result_of(response)] == [row["number"] for row in rows]
    assert response.headers["X-Total-Count"] == str(total)
