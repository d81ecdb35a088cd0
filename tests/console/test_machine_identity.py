"""The Machine Identity Console: the overview's numbers and charts, and the accounts."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from changegate.console.exchange_chart import Chart, chart_of
from changegate.console.records import computed_lists
from changegate.errors import TimeExceeded
from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange, OAuthExchangeFigure
from changegate.models.oauth_exchange import new_correlation_id
from changegate.services.hygiene.history import History, PeriodCounts
from tests.console.conftest import SignIn
from tests.console.visitor import Visitor
from tests.support.token_desk import ROBOT, TokenDesk

OVERVIEW = "/machine-identity"
IDENTITIES = "/machine-identity/identities"
START = datetime(2026, 7, 15, 0, tzinfo=UTC)


def tile(text: str, label: str) -> str:
    """Return the number on a tile."""
    found = re.search(rf'class="tile-label">{label}</span><span class="tile-number[^"]*">(\d+)', text)
    assert found, label
    return found[1]


def contents_of(page: TestResponse) -> str:
    """Return the main part of a page without what differs each time."""
    assert page.status_code == 200
    return re.sub(r'name="csrf_token" value="[^"]+"', "", page.text.partition("<main")[2])


def chart(*periods: tuple[int, int, int]) -> Chart:
    """Return the chart of hours with (accepted, refused, would be refused) exchanges."""
    hours = [PeriodCounts(START + timedelta(hours=place), *numbers) for place, numbers in enumerate(periods)]
    return chart_of(History(hours, []), "%H:%M", "hour")


def test_an_overview_of_nothing(admin: Visitor) -> None:
    text = admin.open(OVERVIEW).text
    assert [tile(text, label) for label in ("Security score", "Machine identities", "Tokens")] == [
        *("100", "0", "0"),
    ]
    assert "No exchanges in the last 24 hours." in text
    assert "No exchange was refused." in text


def test_the_overview_counts(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register(public_client=True, run_as="admin")
    desk.register("Off", active=False)
    for _ in range(3):
        desk.token(integration)
    desk.exchange(integration, assertion="nonsense")
    text = admin.open(OVERVIEW).text
    assert tile(text, "Machine identities") == "2"
    assert tile(text, "With high-privilege roles") == "1"
    assert tile(text, "Inbound integrations") == "1"
    assert tile(text, "Tokens") == "3"
    assert int(tile(text, "Security score")) < 100
    for shown in (
        "In the last 24 hours: 3 accepted, 1 refused",
        "RS256</code></th><td>3<",
        "are not included",
    ):
        assert shown in text
    methods = re.findall(
        r'<th scope="row">([^<]+)<br><span class="muted">([^<]+)</span></th><td>(\d)</td><td>(\d)<', text
    )
    assert methods == [
        ("JWT bearer", "client secret", "0", "0"),
        ("JWT bearer", "private_key_jwt", "0", "0"),
        ("JWT bearer", "public client", "1", "3"),
        ("Client credentials", "client secret", "0", "0"),
        ("Password", "client secret", "0", "0"),
        ("Refresh token", "client secret", "0", "0"),
        ("ID token", "no client; the provider signs", "0", "0"),
    ]


def test_a_reason_leads_to_the_refusals_that_are_counted(app: Flask, admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    for days in (-40, 40):
        app.config["CLOCK"].advance(days=days)
        desk.exchange(integration, assertion="nonsense")
    [(path, reason, number)] = re.findall(
        r'href="(/inbound-integrations/events\?[^"]+)"><code>(\w+)</code></a></th><td>(\d+)<', admin.open(OVERVIEW).text
    )
    assert (reason, number) == (desk.events()[-1].reason, "1")
    assert '<span class="muted total">1</span>' in admin.open(html.unescape(path)).text


@pytest.mark.parametrize("page", [OVERVIEW, IDENTITIES, f"{OVERVIEW}/findings", "/inbound-integrations"])
def test_opening_the_pages_counts_the_exchanges(app: Flask, admin: Visitor, desk: TokenDesk, page: str) -> None:
    desk.token(desk.register())
    app.config["CLOCK"].advance(hours=2)
    assert admin.open(page).status_code == 200
    with app.app_context():
        assert db.session.execute(select(OAuthExchangeFigure.exchanges)).scalars().all() == [1]


@pytest.mark.parametrize("page", [OVERVIEW, IDENTITIES, f"{OVERVIEW}/findings"])
def test_the_pages_read_no_exchange_that_is_counted(app: Flask, admin: Visitor, desk: TokenDesk, page: str) -> None:
    integration = desk.register()
    desk.token(integration)
    desk.exchange(integration, assertion="nonsense")
    app.config["CLOCK"].advance(hours=2)
    with app.app_context():
        # So old that it would be a finding, were it not used.
        long_ago = app.config["CLOCK"]() - timedelta(days=40)
        db.session.execute(update(OAuthEntity).values(sys_created_on=long_ago))
        db.session.commit()
    counted = contents_of(admin.open(page))
    with app.app_context():
        db.session.execute(delete(OAuthExchange))
        db.session.commit()
    assert contents_of(admin.open(page)) == counted
    with app.app_context():
        db.session.execute(delete(OAuthExchangeFigure))
        db.session.commit()
    assert contents_of(admin.open(page)) != counted


def test_the_table_beside_the_chart_has_every_period(app: Flask, admin: Visitor) -> None:
    now = datetime.now(UTC)
    with app.app_context():
        for hours, is_accepted in ((0, True), (0, False), (2, True), (24 * 5, False)):
            at = now - timedelta(hours=hours)
            exchange = OAuthExchange(correlation_id=new_correlation_id(at), happened_at=at, is_accepted=is_accepted)
            db.session.add(exchange)
        db.session.commit()
    text = admin.open(OVERVIEW).text
    tables = re.findall(r'class="table-scroll framed chart-table".*?</table>', text, re.DOTALL)
    rows = [re.findall(r"<tr[^>]*><th[^>]*>([^<]+)</th>((?:<td>\d+</td>)+)</tr>", table) for table in tables]
    assert [len(found) for found in rows] == [24, 30]
    assert rows[0][0] == (f"{now:%m-%d %H}:00", "<td>1</td><td>0</td><td>1</td>")
    assert rows[1][5] == (f"{now - timedelta(days=5):%Y-%m-%d}", "<td>0</td><td>0</td><td>1</td>")
    assert tables[0].count(' class="is-ignored"') == 22


def test_the_page_needs_no_style_and_no_script_of_its_own(admin: Visitor, desk: TokenDesk) -> None:
    desk.token(desk.register())
    text = admin.open(OVERVIEW).text
    assert "<svg class=" in text and 'role="img"' in text
    assert "<style" not in text and " style=" not in text
    assert not re.search(r"<script(?![^>]* src=)", text)
    assert not re.search(r"\son\w+=", text)


def test_bars_are_stacked_to_the_height_of_their_counts() -> None:
    found = chart((4, 0, 0), (3, 1, 1), (0, 0, 0))
    assert (found.top, found.width, found.labels) == (4, 30.0, ("00:00", "01:00", "02:00"))
    full, mixed, none = found.bars
    assert [(block.kind, block.y, block.height) for block in full.blocks] == [("accepted", 0.0, 100.0)]
    assert [(block.kind, block.y, block.height) for block in mixed.blocks] == [
        ("accepted", 50.0, 50.0),
        ("would-refuse", 25.0, 25.0),
        ("refused", 0.0, 25.0),
    ]
    assert none.blocks == ()
    assert mixed.says == "01:00: 3 accepted, 1 of them despite a failed report-only condition, 1 refused"
    assert found.summary == "In the last 3 hours: 7 accepted, 1 refused; the busiest hour is 00:00 with 4."


def test_a_single_refusal_among_thousands_is_visible() -> None:
    found = chart((99_999, 1, 0))
    assert found.top == 100_000
    accepted, refused = found.bars[0].blocks
    assert refused.height >= 1
    assert 0 <= refused.y < accepted.y + accepted.height


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (17, 18), (19, 20), (133, 140), (181, 200), (1000, 1000)],
)
def test_an_axis_ends_at_a_number_that_can_be_halved(highest: int, top: int) -> None:
    assert chart((highest, 0, 0)).top == top


def test_lists_the_accounts_that_automation_acts_as(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    desk.register("Powerful", run_as="admin")
    desk.add_user("idle.bot", web_service_access_only=True)
    desk.add_user("person")
    desk.token(integration)
    text = admin.open(IDENTITIES).text
    rows = {re.findall(r'class="row-link"[^>]*>([^<]+)', row)[0]: row for row in text.split("<tr>")[2:]}
    assert [*rows] == ["admin", "idle.bot", ROBOT]
    assert '<span class="pill pill-bad">admin</span>' in rows["admin"]
    assert "may read and write every table" in rows["admin"]
    assert "Web service access only" in rows["idle.bot"] and "No active integration" in rows["idle.bot"]
    assert "pill-bad" not in rows[ROBOT] and "itil" in rows[ROBOT]
    assert f'href="/inbound-integrations/{integration.client_id}"' in rows[ROBOT]
    assert 'data-label="Last exchange"' in rows[ROBOT] and "<time" in rows[ROBOT] and "<time" not in rows["idle.bot"]
    assert 'href="/machine-identity/findings?sysparm_query=subject%3Dadmin"' in rows["admin"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("sysparm_query=privilegesISNOTEMPTY", ["admin"]),
        (f"sysparm_query=user_name={ROBOT}", [ROBOT]),
        ("sysparm_query=user_name=nobody", []),
        (f"sysparm_query=user_name={ROBOT}^privilegesISNOTEMPTY", []),
        (f"sysparm_query=user_name={ROBOT}^NQuser_name=admin^ORDERBYDESCuser_name", [ROBOT, "admin"]),
        ("sysparm_query=ORDERBYDESCuser_name", [ROBOT, "admin"]),
        ("search=ADM+pow", ["admin"]),
    ],
)
def test_filters_the_accounts(admin: Visitor, desk: TokenDesk, query: str, shown: list[str]) -> None:
    desk.register()
    desk.register("Powerful", run_as="admin")
    page = admin.open(f"{IDENTITIES}?{query}")
    assert page.status_code == 200
    assert re.findall(r'class="row-link"[^>]*>([^<]+)', page.text) == shown


def test_only_integration_managers_see_the_pages(sign_in: SignIn) -> None:
    insider, outsider = sign_in("mia", "mi_admin"), sign_in("ines", "itil")
    for path in (OVERVIEW, IDENTITIES, "/machine-identity/findings", "/auth-scopes", "/tokens"):
        assert f'href="{path}"' in insider.open("/").text
        assert f'href="{path}"' not in outsider.open("/").text
        assert (insider.open(path).status_code, outsider.open(path).status_code) == (200, 403)


def test_the_navigator_marks_the_page_that_is_open(admin: Visitor) -> None:
    for path in (OVERVIEW, IDENTITIES, "/machine-identity/findings", "/auth-scopes", "/tokens"):
        marked = re.findall(r'<a href="([^"]+)" aria-current="page"', admin.open(path).text)
        assert marked == [path]


@pytest.mark.parametrize("listed", [IDENTITIES, "/machine-identity/findings"])
def test_a_list_of_computed_rows_is_limited_like_a_statement(
    admin: Visitor, desk: TokenDesk, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    desk.register(public_client=True, run_as="admin")
    path = f"{listed}?sysparm_query="
    assert admin.open(path + "^OR".join(["name=x"] * 10_001)).status_code == 400
    assert admin.open(f"{path}name=x").status_code == 200

    def refuse() -> None:
        raise TimeExceeded

    monkeypatch.setattr(computed_lists, "require_time", refuse)
    assert admin.open(f"{path}name=x").status_code == TimeExceeded().status
