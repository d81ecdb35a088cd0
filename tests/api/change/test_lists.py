"""Lists of the Change Management API: their parameters, their total, and the row that reports the query."""

import pytest

from changegate.api.change import calls
from tests.support.change_api import ChangeApi
from tests.support.table_api import result_of


@pytest.fixture
def changes(api: ChangeApi) -> None:
    for text, impact in (("Firewall", 1), ("Database upgrade", 2), ("firewall rule", 3)):
        api.new(short_description=text, impact=impact)


@pytest.mark.usefixtures("changes")
@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["Firewall", "Database upgrade", "firewall rule"]),
        ({"impact": "2"}, ["Database upgrade"]),
        ({"impact": "1 - High", "state": "New", "type": "normal"}, ["Firewall"]),
        ({"state": "closed"}, []),
        ({"sysparm_query": "short_descriptionLIKEfirewall"}, ["Firewall", "firewall rule"]),
        ({"sysparm_query": "short_descriptionLIKEfirewall", "impact": "3"}, ["firewall rule"]),
        ({"sysparm_query": "impact=1^NQimpact=2", "short_description": "Firewall"}, ["Firewall"]),
        ({"textSearch": "upgrade"}, ["Database upgrade"]),
        ({"textSearch": "firewall rule"}, ["firewall rule"]),
        ({"textSearch": "upgrade^NQimpact=1"}, []),
        ({"sysparm_query": "ORDERBYDESCimpact"}, ["firewall rule", "Database upgrade", "Firewall"]),
        ({"order": "short_description", "sysparm_query": "impact<3"}, ["Database upgrade", "Firewall"]),
        ({"order": "impact", "sysparm_query": "ORDERBYDESCimpact"}, ["firewall rule", "Database upgrade", "Firewall"]),
        ({"bunk": "x", "textSearch": "", "order": ""}, ["Firewall", "Database upgrade", "firewall rule"]),
        ({"sysparm_limit": "1", "sysparm_offset": "1", "order": "impact"}, ["Database upgrade"]),
        ({"sysparm_limit": "-1", "sysparm_fields": "number"}, ["Firewall", "Database upgrade", "firewall rule"]),
    ],
)
def test_a_list_is_what_its_parameters_ask_for(api: ChangeApi, params: dict[str, str], found: list[str]) -> None:
    listed = api.listed(**params)
    if "ORDERBY" in params.get("sysparm_query", "") or params.get("order"):
        assert listed == found
    else:
        assert sorted(listed) == sorted(found)


@pytest.mark.usefixtures("changes")
def test_an_unknown_field_sorts_nothing(api: ChangeApi) -> None:
    assert len(api.listed(order="no_such_field")) == len(api.listed(order="a b;")) == 3


@pytest.mark.usefixtures("changes")
def test_the_total_ignores_the_page(api: ChangeApi) -> None:
    for params, total in (({"sysparm_limit": "1"}, "3"), ({"impact": "2"}, "1"), ({"impact": "7"}, "0")):
        response = api.get(**params)
        assert (response.status_code, response.headers["X-Total-Count"]) == (200, total)


def test_a_page_has_500_records_by_default(api: ChangeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def noted(*args: object, limit: int, **options: object) -> object:
        sizes.append(limit)
        return original(*args, limit=limit, **options)

    original = calls.read_page
    monkeypatch.setattr(calls, "read_page", noted)
    api.get()
    api.get(sysparm_limit="")
    api.get(sysparm_limit="99999")
    assert sizes == [500, 500, 10_000]


def test_a_field_of_another_type_cannot_be_asked_for(api: ChangeApi) -> None:
    api.new(type="emergency", short_description="Other")
    api.new(short_description="Mine")
    assert api.listed("/normal") == ["Mine"]
    assert api.listed("/normal", type="emergency") == []
    assert api.listed("/normal", sysparm_query="type=emergency^NQtype=emergency") == []
    assert api.listed("/normal", sysparm_query="short_description=x^ORtype=emergency") == []


class TestReport:
    """The last row, which an instance adds if it is configured to."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"change_api_list_meta": "1"}

    def test_the_last_row_reports_the_query(self, api: ChangeApi) -> None:
        api.new(short_description="Deploy")
        *records, report = result_of(api.get(sysparm_query="active=true", state="new", bunk="1", order="number"))
        assert [record["short_description"]["value"] for record in records] == ["Deploy"]
        assert report == {
            "__meta": {
                "encodedQuery": "active=true^state=new^bunk=1^ORDERBYnumber",
                "fields": {"applied": ["state"], "ignored": ["bunk"]},
            }
        }
        assert result_of(api.get("/model", name="x"))[0]["__meta"]["encodedQuery"] == "name=x^ORDERBYname"


def test_by_default_a_list_has_records_only(api: ChangeApi) -> None:
    assert result_of(api.get()) == []
