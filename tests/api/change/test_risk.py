"""The calculation of a risk over the Change Management API."""

from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from tests.conftest import basic
from tests.support.change_api import ChangeApi
from tests.support.scope_desk import put_scope
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import TokenDesk

CONDITIONS = "/api/now/table/risk_conditions"
WRITES = ("POST", "PATCH")


@pytest.fixture
def conditions(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin, CONDITIONS)


def risk_of(record: dict[str, Any]) -> tuple[Any, str]:
    return record["risk"]["value"], record["risk_explanation"]["value"]


@pytest.mark.parametrize("kind", ["", "/normal"])
def test_a_calculation_replaces_an_explicit_risk_and_explains_it(
    itil: ChangeApi, conditions: TableApi, kind: str
) -> None:
    change = itil.new(category="Network", risk="4")
    conditions.created(name="Network", condition="category=Network", risk="2")
    answer = itil.patch(f"{kind}/{change}/risk", {"nonsense": "1", "risk": "3"})
    record = result_of(answer)
    assert (record["risk"]["display_value"], record["__meta"]["ignoredFields"]) == ("High", ["nonsense", "risk"])
    assert orjson.loads(record["risk_explanation"]["value"])["matched"][0]["facts"] == {"category": "Network"}
    assert answer.headers["ETag"] == itil.get(f"/{change}").headers["ETag"]
    assert risk_of(result_of(itil.get(f"/{change}"))) == risk_of(record)
    again = itil.patch(f"/{change}/risk")
    assert again.headers["ETag"] == answer.headers["ETag"]


def test_a_change_without_conditions_loses_its_risk(itil: ChangeApi) -> None:
    change = itil.new(risk="4")
    assert risk_of(result_of(itil.patch(f"/{change}/risk"))) == ("", "")


def test_refusals(itil: ChangeApi, api: ChangeApi, conditions: TableApi) -> None:
    change = itil.new(type="emergency")
    assert itil.patch(f"/normal/{change}/risk").status_code == 404
    assert itil.patch(f"/standard/{change}/risk").status_code == 404
    assert itil.patch(f"/{'0' * 32}/risk").status_code == itil.patch("/%00/risk").status_code == 404
    outdated = ChangeApi(itil.client, {**itil.headers, "If-Match": '"1-20200101000000"'})
    assert outdated.patch(f"/{change}/risk").status_code == 412
    itil.patch(f"/{change}", {"state": "canceled"})
    refused = itil.patch(f"/{change}/risk")
    assert refused.status_code == 400
    assert error_of(refused)[0].endswith(
        "risk: the risk is calculated until a change is implemented or canceled, and stays as it is afterwards"
    )


def test_readers_do_not_calculate(client: FlaskClient, add_user: Any, api: ChangeApi) -> None:
    add_user("rita", "sn_change_read")
    reader = ChangeApi(client, basic("rita", "itil itil itil"))
    assert reader.patch(f"/{api.new()}/risk").status_code == 403


def test_a_token_that_may_not_write_the_risk_does_not_make_it_explicit(
    desk: TokenDesk, api: ChangeApi, conditions: TableApi
) -> None:
    conditions.created(name="Network", condition="category=Network", risk="2")
    conditions.created(name="Everything", risk="4", order="900")
    fields = "fields=category,description"
    put_scope(
        desk, "narrow", "GET change change_request", *(f"{verb} change change_request {fields}" for verb in WRITES)
    )
    token = ChangeApi(desk.client, {"Authorization": f"Bearer {desk.token(desk.register(scopes=['narrow']))}"})
    change = token.new(category="Software")
    assert token.patch(f"/{change}", {"risk": "3"}).status_code == 403
    assert token.patch(f"/{change}", {"risk": "4", "description": "x"}).status_code == 200
    record = result_of(token.patch(f"/{change}", {"category": "Network", "risk": "4"}))
    assert (record["risk"]["value"], record["__meta"]) == (2, {"ignoredFields": []})


def test_scopes_hold(desk: TokenDesk, api: ChangeApi) -> None:
    foreign = api.new()
    put_scope(desk, "own", "* change change_request own")
    put_scope(desk, "narrow", "POST change change_request", "PATCH change change_request fields=description own")
    put_scope(desk, "creating", "POST change change_request")
    tokens = {
        name: ChangeApi(desk.client, {"Authorization": f"Bearer {desk.token(desk.register(name, scopes=[name]))}"})
        for name in ("own", "narrow", "creating")
    }
    changes = {name: token.new() for name, token in tokens.items()}
    assert tokens["own"].patch(f"/{changes['own']}/risk").status_code == 200
    assert tokens["own"].patch(f"/{foreign}/risk").status_code == 404
    refused = tokens["narrow"].patch(f"/{changes['narrow']}/risk")
    assert error_of(refused)[1] == "The access token may not write the field risk"
    assert error_of(tokens["creating"].patch(f"/{changes['creating']}/risk"))[0] == "Missing required api access scope"
