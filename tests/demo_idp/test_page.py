"""The page without scripts: forms, what they remember, and pages of other origins."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from demo_idp import create_app
from demo_idp.behaviors import BEHAVIORS, Group
from demo_idp.exchange import Changegate
from demo_idp.workbench import Workbench
from tests.demo_idp.conftest import ISSUER
from tests.demo_idp.servers import served
from tests.demo_idp.stage import AUDIENCE, Stage

OWN = {"Origin": "http://localhost"}
SIGNED = "Signed, and not sent."
NO_OBJECT = {"error": "not_json", "error_description": "The answer is not a JSON object."}


@pytest.fixture
def workbench(idp: Flask) -> Workbench:
    found: Workbench = idp.extensions["workbench"]
    return found


def submit(client: FlaskClient, **fields: str) -> TestResponse:
    return client.post("/page/token", data={"action": "sign", **fields}, headers=OWN)


def test_shows_every_behavior_with_what_must_happen(client: FlaskClient) -> None:
    page = unescape(client.get("/").text)
    for behavior in BEHAVIORS.values():
        assert f'action="/page/behaviors/{behavior.name}"' in page
        assert behavior.does in page
        assert behavior.must in page
    assert [page.index(f">{group}</h2>") for group in Group] == sorted(page.index(f">{group}</h2>") for group in Group)


def test_describes_its_purpose_and_runs_no_script(client: FlaskClient) -> None:
    response = client.get("/")
    assert response.text.count("or demonstration only") >= 3
    assert "<script" not in response.text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"


def test_lists_the_keys_with_their_roles(client: FlaskClient, workbench: Workbench) -> None:
    for name in ("rotate", "pre-publish"):
        client.post(f"/behaviors/{name}")
    page = client.get("/").text
    assert [key.kid for key in workbench.provider.keys.published if key.kid not in page] == []
    assert [page.count(f"<td>{role}</td>") for role in ("signs", "next", "previous")] == [2, 2, 2]


def test_signs_the_token_of_the_form_and_shows_it(client: FlaskClient, workbench: Workbench) -> None:
    response = submit(client, layout="gitlab", aud="client-1", claims='{"ref": "feature"}', lifetime_seconds="60")
    assert (response.status_code, response.headers["Location"]) == (303, "/#result")
    assert workbench.result is not None
    claims = workbench.result.signed.claims
    assert (claims["project_id"], claims["ref"], claims["aud"]) == ("4711", "feature", "client-1")
    page = client.get("/").text
    for text in (SIGNED, workbench.result.signed.assertion, '<option value="gitlab" selected>', 'value="client-1"'):
        assert text in page


def test_remembers_client_and_secret_and_never_shows_the_secret(client: FlaskClient, workbench: Workbench) -> None:
    submit(client, client_id="one", client_secret="hidden from everyone")
    submit(client, client_id="one")
    assert workbench.client.secret == "hidden from everyone"
    page = client.get("/").text
    assert "Kept in memory" in page
    assert "hidden from everyone" not in page
    submit(client, client_id="two")
    assert workbench.client.secret == ""


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"layout": "unknown"}, "layout"),
        ({"claims": "{"}, "claims"),
        ({"claims": "[]"}, "claims"),
        ({"lifetime_seconds": "soon"}, "lifetime_seconds"),
        ({"lifetime_seconds": "9" * 5000}, "lifetime_seconds"),
        ({"alg": "none"}, "alg"),
        ({"url": "https://elsewhere.example"}, "url"),
    ],
)
def test_shows_errors_and_keeps_the_input(
    client: FlaskClient, workbench: Workbench, fields: dict[str, str], field: str
) -> None:
    response = submit(client, **{"sub": "<typed>"} | fields)
    assert response.status_code == 400
    assert re.search(rf'role="alert">Not signed\. {field}: ', response.text)
    assert 'value="&lt;typed&gt;"' in response.text
    assert workbench.result is None


def test_escapes_what_others_chose(client: FlaskClient) -> None:
    client.post("/sign", json={"sub": "<script>alert(1)</script>\ud800", "aud": "a", "kid": "<b>"})
    page = client.get("/").text
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\ud800" in page


def test_a_button_ends_in_one_line_that_names_the_rule_and_links_to_the_event(stage: Stage) -> None:
    stage.idp.post("/page/token", data={**stage.credentials, "layout": "github-actions"}, headers=OWN)
    assert "Accepted (HTTP 200), as expected." in stage.idp.get("/").text
    answer = stage.idp.post("/page/behaviors/forged-key", headers=OWN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#forged-key")
    page = stage.idp.get("/").text
    assert page.count("Refused (HTTP 400), as expected: rule “signature”, reason signature_invalid.") == 2
    assert f'href="{stage.workbench.changegate.url}/inbound-integrations/events/' in page
    assert stage.workbench.order.audience == AUDIENCE


def test_an_access_token_is_not_shown(stage: Stage) -> None:
    [answer] = stage.send()["answers"]
    assert len(answer["body"]["access_token"]) == 9
    assert answer["body"]["access_token"] in stage.idp.get("/").text


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/sign", "/send", "/behaviors/rotate", "/page/token", "/page/behaviors/down"])
def test_a_page_of_another_origin_changes_nothing(
    client: FlaskClient, workbench: Workbench, path: str, headers: dict[str, str]
) -> None:
    before = [key.kid for key in workbench.provider.keys.published]
    assert client.post(path, headers=headers).status_code == 403
    assert [key.kid for key in workbench.provider.keys.published] == before
    assert (workbench.provider.fault, workbench.result) == ("none", None)


@pytest.mark.parametrize("path", ["/page/token", "/page/behaviors/down"])
def test_refuses_a_form_without_the_headers_of_a_browser(client: FlaskClient, workbench: Workbench, path: str) -> None:
    assert client.post(path).status_code == 403
    assert client.post(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


@pytest.mark.parametrize("path", ["/", "/.well-known/jwks.json", "/behaviors"])
def test_a_name_that_points_here_without_being_ours_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "rebound.example"}).status_code == 400
    for host in (ISSUER.removeprefix("https://"), "127.0.0.1:8081", "[::1]:8081", "localhost:8081"):
        assert client.get(path, headers={"Host": host}).status_code == 200


def test_no_button_of_an_unknown_behavior(client: FlaskClient) -> None:
    assert client.post("/page/behaviors/explode", headers=OWN).status_code == 404


def test_sends_only_to_the_configured_address_and_follows_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    hits: list[str] = []

    def redirecting(_: str) -> Flask:
        app = Flask("redirecting")

        @app.route("/<path:path>", methods=["GET", "POST"])
        def redirect(path: str) -> tuple[str, int, dict[str, str]]:
            hits.append(path)
            return "", 307, {"Location": "/elsewhere"}

        return app

    with served(redirecting) as url:
        client = create_app(base_url=ISSUER, changegate=Changegate(url)).test_client()
        result = client.post("/send", json={}).get_json()
    assert hits == ["oauth/token"]
    assert result["answers"] == [{"status": 307, "body": NO_OBJECT, "event": None}]


def test_names_the_address_where_no_changegate_answers() -> None:
    with served(lambda _: Flask("gone")) as url:
        pass
    client = create_app(base_url=ISSUER, changegate=Changegate(url)).test_client()
    result = client.post("/behaviors/no-kid", json={"send": True}).get_json()
    assert result["line"] == f"There is no answer from {url} (ConnectionError). Start Changegate there."
    assert result["as_expected"] is None
