"""Windows over HTTP: allowed and frozen spans with their reasons, and what a creation says about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from changegate.services.schedules import windows
from tests.conftest import BASE_URL, basic
from tests.support.change_api import ChangeApi
from tests.support.table_api import TableApi, error_of, result_of

TABLE = "/api/now/table"
START = "2026-12-21T00:00"


class Planner:
    """An administrator who writes schedules and reads windows."""

    def __init__(self, client: FlaskClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers
        self.change = ChangeApi(client, headers)

    def add(self, table: str, **fields: object) -> str:
        return str(TableApi(self.client, self.headers, f"{TABLE}/{table}").created(**fields)["sys_id"])

    def freeze(self, start: str, end: str, span: dict[str, object] | None = None, **fields: object) -> str:
        sys_id = self.add("cmn_schedule_blackout", **{"name": "Year end", "time_zone": "Europe/Berlin", **fields})
        self.add("cmn_schedule_span", schedule=sys_id, start_date_time=start, end_date_time=end, **(span or {}))
        return sys_id

    def get(self, **params: object) -> Any:
        texts = {name.rstrip("_"): str(value) for name, value in params.items()}
        return self.client.get("/api/sn_chg_rest/windows", query_string=texts, headers=self.headers)

    def shown(self, **params: object) -> Any:
        answer = self.get(**{"from_": START, **params})
        assert answer.status_code == 200, answer.text
        return result_of(answer)


@pytest.fixture
def planner(client: FlaskClient, admin: dict[str, str]) -> Planner:
    return Planner(client, admin)


def states(shown: Any) -> list[tuple[str, str, str]]:
    return [(span["start"][5:16], span["end"][5:16], span["state"]) for span in shown["spans"]]


def test_without_schedules_everything_is_allowed(planner: Planner) -> None:
    shown = planner.shown()
    assert shown == {
        "ci": None,
        "environment": None,
        "from": "2026-12-21 00:00:00",
        "to": "2026-12-28 00:00:00",
        "next_opening": "2026-12-21 00:00:00",
        "spans": [
            {
                "start": "2026-12-21 00:00:00",
                "end": "2026-12-28 00:00:00",
                "state": "allowed",
                "reasons": [],
                "more_reasons": 0,
            }
        ],
    }


def test_frozen_spans_name_their_freezes_and_the_next_opening(planner: Planner) -> None:
    role = planner.add("sys_user_role", name="freeze_manager")
    first = planner.freeze("2026-12-20 12:00", "2026-12-23 12:00", override_role=role)
    second = planner.freeze(
        "2026-12-22 00:00", "2026-12-25 00:00", name="Payments", enforcement="soft", change_types="normal"
    )
    shown = planner.shown()
    assert states(shown) == [("12-21 00:00", "12-24 23:00", "frozen"), ("12-24 23:00", "12-28 00:00", "allowed")]
    assert shown["next_opening"] == "2026-12-24 23:00:00"
    unlimited = {"assignment_groups": [], "condition": ""}
    payments = {"freeze": second, "name": "Payments", "enforcement": "soft", "override_roles": ["change_manager"]}
    year_end = {"freeze": first, "name": "Year end", "enforcement": "hard", "override_roles": ["freeze_manager"]}
    assert shown["spans"][0]["reasons"] == [
        {**payments, "change_types": ["normal"], **unlimited},
        {**year_end, "change_types": [], **unlimited},
    ]


def test_windows_are_those_of_the_item_and_the_environment(planner: Planner) -> None:
    planner.add("cmdb_ci", name="router")
    shop = planner.add("cmdb_ci", name="shop")
    planner.freeze("2026-12-22 00:00", "2026-12-23 00:00", configuration_items="router", environments="production")
    assert [len(planner.shown(**each)["spans"]) for each in ({"ci": "router"}, {"ci": "shop"}, {})] == [3, 1, 1]
    assert len(planner.shown(ci="ROUTER", environment="Production")["spans"]) == 3
    assert len(planner.shown(ci="router", environment="staging")["spans"]) == 1
    assert planner.shown(ci=shop, environment="staging")["ci"] == {"value": shop, "display_value": "shop"}


def test_outside_of_maintenance_is_no_opening_and_freezes_win(planner: Planner) -> None:
    nights = planner.add("cmn_schedule_maintenance", name="Nights", time_zone="Etc/UTC")
    for start, end in (("22:00", "23:00"), ("22:30", "23:59")):
        times = {"start_date_time": f"2026-12-01 {start}", "end_date_time": f"2026-12-01 {end}"}
        planner.add("cmn_schedule_span", schedule=nights, **times, repeat_type="daily")
    planner.add("cmdb_ci", name="router", maintenance_schedule="Nights")
    planner.freeze("2026-12-21 20:00", "2026-12-22 00:00")
    shown = planner.shown(ci="router", hours=48)
    assert states(shown) == [
        ("12-21 00:00", "12-21 19:00", "outside_maintenance"),
        ("12-21 19:00", "12-21 23:00", "frozen"),
        ("12-21 23:00", "12-21 23:59", "allowed"),
        ("12-21 23:59", "12-22 22:00", "outside_maintenance"),
        ("12-22 22:00", "12-22 23:59", "allowed"),
        ("12-22 23:59", "12-23 00:00", "outside_maintenance"),
    ]
    assert shown["next_opening"] == "2026-12-21 23:00:00"


def test_the_next_opening_may_come_after_the_windows_or_never(planner: Planner) -> None:
    year = planner.freeze("2026-01-01 00:00", "2027-10-01 00:00")
    assert planner.shown()["next_opening"] == "2027-09-30 22:00:00"
    wednesdays = {"start_date_time": "2027-03-03 08:00", "end_date_time": "2027-03-03 12:00"}
    planner.add("cmn_schedule_span", schedule=year, type="exclude", **wednesdays, repeat_type="weekly")
    assert planner.shown()["next_opening"] == "2027-03-03 07:00:00"
    planner.freeze("2026-01-01 00:00", "2026-01-02 00:00", {"repeat_type": "daily"}, name="Always")
    assert planner.shown()["next_opening"] is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ci": "no such item"}, "ci: There is no configuration item 'no such item'."),
        ({"ci": "twice"}, "ci: Several configuration items have the name 'twice'. Give the sys_id."),
        ({"from_": "yesterday"}, "from: Write a time as 2030-01-31T08:30."),
        ({"from_": "9999-12-31T23:59"}, "from: Give a year from 1971 to 2499."),
        ({"from_": "1970-06-01T00:00"}, "from: Give a year from 1971 to 2499."),
        ({"hours": "0"}, "hours: Give a whole number from 1 to 2208."),
        ({"hours": "999999999999999999999"}, "hours: Give a whole number from 1 to 2208."),
        ({"hours": "a week"}, "hours: Give a whole number."),
        ({"env": "production"}, "env: Unknown field."),
        ({"ci": "a\0b"}, "ci: Control characters are not allowed."),
        ({"environment": "a\nb"}, "environment: Control characters are not allowed."),
        ({"ci": "x" * 256}, "ci: At most 255 characters."),
        ({"environment": "x" * 256}, "environment: At most 255 characters."),
    ],
)
def test_wrong_parameters_are_refused(planner: Planner, params: dict[str, object], message: str) -> None:
    for _ in range(2):
        planner.add("cmdb_ci", name="twice")
    answer = planner.get(**params)
    assert answer.status_code == 400
    assert error_of(answer)[0] == message


def test_a_time_may_have_an_offset_and_an_empty_parameter_is_none(planner: Planner) -> None:
    assert planner.shown(from_="2026-12-21T01:30+01:30", ci="", environment="")["from"] == "2026-12-21 00:00:00"


def test_long_lists_end_early(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MOST_WINDOWS", 5)
    monkeypatch.setattr(windows, "MOST_REASONS", 1)
    for name in ("First", "Second"):
        planner.freeze("2026-12-01 00:00", "2026-12-01 12:00", {"repeat_type": "daily"}, name=name)
    shown = planner.shown(hours=2000)
    assert len(shown["spans"]) == 5
    assert shown["to"] == shown["spans"][-1]["end"]
    assert [each["name"] for each in shown["spans"][0]["reasons"]] == ["First"]
    assert shown["spans"][0]["more_reasons"] == 1


def test_a_creation_in_the_change_api_shows_the_windows_from_the_planned_start_on(planner: Planner) -> None:
    planner.add("cmdb_ci", name="router")
    planner.freeze("2026-12-22 00:00", "2026-12-23 00:00", configuration_items="router", change_types="normal")
    planned = {"start_date": "2026-12-22 10:00:00", "end_date": "2026-12-22 12:00:00", "cmdb_ci": "router"}
    created = planner.change.created("/normal", **planned)
    shown = created["__meta"]["windows"]
    assert states(shown) == [("12-22 10:00", "12-22 23:00", "frozen"), ("12-22 23:00", "12-29 10:00", "allowed")]
    assert shown["next_opening"] == "2026-12-22 23:00:00"
    assert created["__meta"]["ignoredFields"] == []
    emergency = planner.change.created("/emergency", **planned)["__meta"]["windows"]
    assert states(emergency) == [("12-22 10:00", "12-29 10:00", "allowed")]
    # Other answers have no windows.
    sys_id = created["sys_id"]["value"]
    patched = result_of(planner.change.patch(f"/{sys_id}", {"priority": "2"}))
    assert patched["__meta"] == {"ignoredFields": []}
    task = planner.change.created(f"/{sys_id}/task", short_description="x")
    assert task["__meta"] == {"ignoredFields": []}


def test_a_creation_without_a_planned_start_shows_the_windows_from_now_on(planner: Planner) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    shown = planner.change.created("/normal")["__meta"]["windows"]
    start = datetime.fromisoformat(shown["from"]).replace(tzinfo=UTC)
    assert before <= start <= datetime.now(UTC)
    assert datetime.fromisoformat(shown["to"]).replace(tzinfo=UTC) - start == timedelta(days=7)


@pytest.mark.parametrize("start", ["1000-01-01 00:00:00", "9998-12-31 23:59:59"])
def test_planned_starts_at_the_ends_of_the_calendar_are_no_errors(planner: Planner, start: str) -> None:
    planner.freeze("2026-12-22 00:00", "2026-12-23 00:00", {"repeat_type": "yearly"})
    shown = planner.change.created("/normal", start_date=start)["__meta"]["windows"]
    assert [each["state"] for each in shown["spans"]] == ["allowed"]


def test_a_creation_in_the_table_api_links_to_the_windows(planner: Planner, client: FlaskClient) -> None:
    router = planner.add("cmdb_ci", name="router")
    changes = TableApi(client, planner.headers)
    sent = {"cmdb_ci": "router", "start_date": "2026-12-22 10:00:00"}
    response = changes.create(sent)
    expected = f"/api/sn_chg_rest/windows?ci={router}&from=2026-12-22+10%3A00%3A00"
    assert response.headers["Link"] == f'<{BASE_URL}{expected}>;rel="related"'
    assert "windows" not in response.text
    assert client.get(expected, headers=planner.headers).status_code == 200
    repeated = client.post(
        "/api/now/table/change_request", json=sent, headers={**planner.headers, "Idempotency-Key": "one-of-a-kind-key"}
    )
    assert repeated.headers["Link"] == response.headers["Link"]
    assert changes.create({}).headers["Link"] == f'<{BASE_URL}/api/sn_chg_rest/windows>;rel="related"'
    assert "Link" not in TableApi(client, planner.headers, f"{TABLE}/cmdb_ci").create({"name": "switch"}).headers


def test_windows_can_be_read_as_xml(planner: Planner) -> None:
    planner.freeze("2026-12-22 00:00", "2026-12-23 00:00")
    answer = planner.client.get(
        "/api/sn_chg_rest/windows?from=2026-12-21T00:00",
        headers={**planner.headers, "Accept": "application/xml"},
    )
    assert answer.status_code == 200
    assert "<state>frozen</state>" in answer.text


def test_windows_need_a_caller(client: FlaskClient, add_user: Any) -> None:
    assert client.get("/api/sn_chg_rest/windows").status_code == 401
    add_user("ess")
    answer = client.get("/api/sn_chg_rest/v1/windows", headers=basic("ess", "itil itil itil"))
    assert answer.status_code == 200
