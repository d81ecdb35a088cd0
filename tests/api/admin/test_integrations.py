"""The admin API of inbound integrations: what the form does, in JSON."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import JwksCache, JwtVerifierMap, OAuthEntityKey, OAuthExchange, SysCertificate
from changegate.models.connection_type import TYPES
from tests.conftest import basic
from tests.support.certificates import certificate, pem
from tests.support.integration_api import INTEGRATIONS, LEAST, IntegrationApi
from tests.support.provider_site import JWKS, provider_site
from tests.support.servers import free_port
from tests.support.token_desk import TokenDesk, basic_header

PASSWORD = "itil itil itil"
EVERY_FIELD = sorted({name for one in TYPES.values() for name in one.fields})


def test_registers_an_integration_and_shows_its_secret_this_once(api: IntegrationApi, client: FlaskClient) -> None:
    response = api.send("POST", "", {**LEAST, "token_format": "JWT"})
    made = response.get_json()["result"]

    assert (response.status_code, len(made["client_secret"])) == (201, 43)
    assert response.headers["Location"] == f"https://change.example.com{INTEGRATIONS}/{made['client_id']}"
    assert response.headers["Cache-Control"] == "no-store"
    read = api.result("GET", f"/{made['client_id']}")
    assert read == {name: value for name, value in made.items() if name != "client_secret"}
    assert (read["token_format"], read["audiences"], read["run_as"]) == ("jwt", [made["client_id"]], "admin")
    assert api.result("GET") == [read]


def test_a_public_client_has_no_secret_until_it_is_one_no_longer(api: IntegrationApi) -> None:
    made = api.created(public_client=True)
    assert made["client_secret"] is None
    changed = api.result("PATCH", f"/{made['client_id']}", {"public_client": False})
    assert len(changed["client_secret"]) == 43
    assert "client_secret" not in api.result("PATCH", f"/{made['client_id']}", {"comments": "x"})


def test_a_new_integration_is_a_public_client_by_default(api: IntegrationApi) -> None:
    made = api.created(public_client=...)
    assert (made["public_client"], made["client_secret"]) == (True, None)


def test_a_preset_stands_for_all_that_is_not_given(api: IntegrationApi) -> None:
    made = api.result(
        "POST",
        "",
        {
            "name": "Shop",
            "preset": "gitlab",
            "place": "self-managed",
            "placeholders": {"host": "git.example.com"},
            "run_as": "admin",
            "jti_claim": "my_id",
        },
    )
    assert (made["issuer"], made["jwks_url"]) == (
        "https://git.example.com",
        "https://git.example.com/oauth/discovery/keys",
    )
    assert (made["provider_name"], made["algorithms"], made["jti_claim"]) == ("GitLab CI", ["RS256"], "my_id")


def test_the_preset_derives_the_jwks_url_from_the_issuer(api: IntegrationApi) -> None:
    issuer = "https://token.actions.githubusercontent.com"
    made = api.created(
        preset="github-actions", issuer=issuer, jwks_url=..., claim_conditions=["repository_id equals 123"]
    )
    assert made["jwks_url"] == f"{issuer}/.well-known/jwks"
    assert made["claim_conditions"] == [
        {"claim": "repository_id", "operator": "equals", "value_type": "string", "value": "123", "report_only": False}
    ]
    assert made["max_assertion_lifetime_seconds"] == 900


def test_given_fields_override_the_preset_even_in_another_form(api: IntegrationApi) -> None:
    made = api.created(preset="kubernetes", enable_jti_verification=False, required_typ="at+jwt")
    assert (made["replay_policy"], made["required_typ"]) == ("reusable-until-exp", "at+jwt")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"placeholders": {"host": "x.example"}}, "placeholders: Choose the preset that these placeholders belong to."),
        ({"preset": "gitlab", "place": "moon"}, "place: GitLab CI has no such place; it has gitlab.com, self-managed."),
        (
            {"preset": "gitlab", "place": "self-managed", "placeholders": {"port": "1"}},
            "placeholders: The placeholders of this issuer of GitLab CI are: host.",
        ),
        (
            {"preset": "gitlab", "place": "self-managed", "placeholders": {"host": "a b"}},
            "placeholders: host: a b does not have the right form. Give the Host name",
        ),
        (
            {"preset": "gitlab", "issuer": "https://a.example", "placeholders": {"host": "b.example"}},
            "placeholders: Give either the issuer or its placeholders, not both.",
        ),
        ({"preset": "gitlab", "placeholders": ["host"]}, "placeholders: Give the placeholders by name"),
        ({"preset": "nobody"}, "preset: Unknown preset. The presets are github-actions"),
    ],
)
def test_reports_errors_of_a_preset(api: IntegrationApi, given: dict[str, Any], sentence: str) -> None:
    assert sentence in api.refused("POST", "", {"name": "Shop", "run_as": "admin", **given})


@pytest.mark.parametrize("issuer", ["https://token.actions.githubusercontent.com", "https://gitlab.com"])
def test_a_shared_issuer_is_refused_without_a_pin_and_at_every_change(api: IntegrationApi, issuer: str) -> None:
    pin = "repository_id equals 123" if "github" in issuer else "project_id equals 123"
    weak = [[], ["ref glob *"], [f"report-only: {pin}"]]
    for conditions in weak:
        said = api.refused("POST", "", {**LEAST, "issuer": issuer, "claim_conditions": conditions})
        assert "claim_conditions:" in said and "signs for everybody under this issuer" in said
    made = api.created(issuer=issuer, claim_conditions=[pin])
    for conditions in weak:
        for method in ("PATCH", "PUT"):
            sent = {**LEAST, "issuer": issuer, "claim_conditions": conditions}
            assert "signs for everybody" in api.refused(method, f"/{made['client_id']}", sent)


def test_an_update_changes_only_the_given_fields(api: IntegrationApi) -> None:
    made = api.created(comments="Of the shop", audiences=["a"], replay_policy="once-if-present", owner="admin")
    changed = api.result("PATCH", f"/{made['client_id']}", {"clock_skew_seconds": 10, "review_date": "2030-01-31"})
    expected = made | {"clock_skew_seconds": 10, "review_date": "2030-01-31"}
    assert changed == {name: value for name, value in expected.items() if name != "client_secret"}
    emptied = api.result("PATCH", f"/{made['client_id']}", {"comments": None, "owner": "", "review_date": None})
    assert (emptied["comments"], emptied["owner"], emptied["review_date"]) == (None, None, None)


def test_an_update_clears_the_alternative_fields(api: IntegrationApi) -> None:
    path = f"/{api.created()['client_id']}"
    assert api.result("PATCH", path, {"user_field": "email"})["run_as"] is None
    assert api.result("PATCH", path, {"run_as": "admin"})["user_field"] is None
    assert api.result("PATCH", path, {"replay_policy": "reusable-until-exp"})["enable_jti_verification"] is False
    assert api.result("PATCH", path, {"enable_jti_verification": True})["replay_policy"] == "jti-required-once"


def test_another_key_source_leaves_the_keys_of_the_former_behind(api: IntegrationApi) -> None:
    path = f"/{api.created()['client_id']}"
    shared = [{"name": "main", "shared_key": "0123456789abcdefghijklmnopqrstuv"}]
    changed = api.result("PATCH", path, {"key_source": "shared_key", "verifier_maps": shared})
    assert (changed["jwks_url"], changed["algorithms"]) == ("", ["HS256"])
    assert changed["verifier_maps"] == [{"name": "main", "kid": None, "enforce_dates": True, "active": True}]
    back = api.result("PATCH", path, {"key_source": "jwks_url", "jwks_url": "https://ci.example.com/jwks.json"})
    assert (back["verifier_maps"], back["algorithms"]) == ([], ["RS256", "ES256"])


def test_a_replacement_puts_everything_else_back_but_whether_it_is_active(api: IntegrationApi) -> None:
    made = api.created(comments="Of the shop", clock_skew_seconds=10)
    path = f"/{made['client_id']}"
    api.result("POST", f"{path}/disable")
    given = {name: value for name, value in LEAST.items() if name != "public_client"}
    replaced = api.result("PUT", path, given)
    assert (replaced["comments"], replaced["clock_skew_seconds"], replaced["active"]) == (None, 60, False)
    assert replaced["public_client"] is False, "the default of a new integration takes no secret away"
    assert api.result("PUT", path, {**LEAST, "active": True})["active"] is True


def test_what_was_read_can_be_sent_back(api: IntegrationApi) -> None:
    keys = [{"name": "main", "kid": "k", "shared_key": "0123456789abcdefghijklmnopqrstuv"}]
    made = api.created(key_source="shared_key", jwks_url=..., verifier_maps=keys, claim_conditions=["a exists"])
    read = api.result("GET", f"/{made['client_id']}")
    assert api.result("PUT", f"/{made['client_id']}", read) == read


def test_what_alters_nothing_is_not_written(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    token = desk.token(integration)
    path = f"/{integration.client_id}"
    record = f"/api/now/table/oauth_entity/{integration.sys_id}"
    before = desk.client.get(record, headers=dict(api.headers)).get_json()
    api.result("PATCH", path, {})
    api.result("PUT", path, api.result("GET", path))
    assert desk.client.get(record, headers=dict(api.headers)).get_json() == before
    assert desk.call(token).status_code == 201


def test_what_the_product_gives_is_read_only(api: IntegrationApi) -> None:
    made = api.created()
    assert (
        api.refused("PATCH", f"/{made['client_id']}", {"client_id": "0" * 32}) == "client_id: This field is read-only."
    )
    assert "read-only" in api.refused("POST", "", {**LEAST, "name": "Other", "sys_id": "0" * 32})


@pytest.mark.parametrize("path", ["0" * 32, "x", "%00", "' or 1=1 --"])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("PATCH", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/keys"), ("POST", "/try")]
)
def test_an_unknown_integration_is_not_found(api: IntegrationApi, method: str, rest: str, path: str) -> None:
    assert api.refused(method, f"/{path}{rest}", {}, status=404) == "No Record found"


def test_a_name_is_taken_once(api: IntegrationApi) -> None:
    api.created()
    other = api.created(name="Other")
    assert api.refused("POST", "", dict(LEAST)) == "name: There is an integration named Pipeline already."
    assert "named pipeline already" in api.refused("PATCH", f"/{other['client_id']}", {"name": "pipeline"})


def test_enables_and_disables(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    token = desk.token(integration)
    assert api.result("POST", f"/{integration.client_id}/disable")["active"] is False
    assert desk.call(token).status_code == 401
    assert desk.exchange(integration).status_code == 401
    assert api.result("POST", f"/{integration.client_id}/enable")["active"] is True
    assert desk.call(desk.token(integration)).status_code == 201


def test_rotates_the_secret_and_lets_the_old_one_work_on_for_a_while(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    given = api.result("POST", f"/{integration.client_id}/rotate-secret", {"overlap_hours": 1})
    assert given["client_secret"] != integration.secret
    assert desk.exchange(integration).status_code == 200
    assert desk.exchange(integration, client_secret=given["client_secret"]).status_code == 200
    api.result("POST", f"/{integration.client_id}/rotate-secret")
    assert desk.exchange(integration).status_code == 401


@pytest.mark.parametrize("hours", [-1, 721, "ten", 1.5, None, []])
def test_an_invalid_overlap_is_refused(api: IntegrationApi, hours: object) -> None:
    made = api.created()
    said = api.refused("POST", f"/{made['client_id']}/rotate-secret", {"overlap_hours": hours})
    assert said.startswith("overlap_hours: ")


def test_a_public_client_has_no_secret_to_rotate(api: IntegrationApi) -> None:
    made = api.created(public_client=True)
    assert "A public client has no secret." in api.refused("POST", f"/{made['client_id']}/rotate-secret")


def count(app: Flask, *models: Any) -> list[int]:
    with app.app_context():
        return [db.session.execute(select(func.count()).select_from(model)).scalar_one() for model in models]


def test_deleting_takes_tokens_and_keys_along_and_keeps_events(api: IntegrationApi, desk: TokenDesk) -> None:
    integration, other = desk.register(), desk.register("Other")
    token, kept = desk.token(integration), desk.token(other)
    response = api.send("DELETE", f"/{integration.client_id}")
    assert (response.status_code, response.data) == (204, b"")
    assert (desk.call(token).status_code, desk.call(kept).status_code) == (401, 201)
    assert desk.exchange(integration).status_code == 401
    assert count(desk.app, OAuthEntityKey, JwksCache) == [1, 1]
    events = [event.entity for event in desk.events() if event.is_accepted]
    assert events == [integration.sys_id, other.sys_id]
    assert api.refused("DELETE", f"/{integration.client_id}", status=404) == "No Record found"


def test_deleting_takes_certificates_along(api: IntegrationApi, app: Flask) -> None:
    maps = [{"name": "main", "certificate": pem(certificate())}]
    made = api.created(key_source="certificates", jwks_url=..., verifier_maps=maps)
    assert count(app, JwtVerifierMap, SysCertificate) == [1, 1]
    api.send("DELETE", f"/{made['client_id']}")
    assert count(app, JwtVerifierMap, SysCertificate, OAuthEntityKey, OAuthExchange) == [0, 0, 0, 0]


def test_keys_are_fetched_shown_blocked_and_trusted_again(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    path = f"/{integration.client_id}"
    assert api.result("GET", f"{path}/keys") == {"keys": [], "blocked_keys": [], "alerts": [], "warnings": []}
    [key] = api.result("POST", f"{path}/refresh-keys")["keys"]
    token = desk.token(integration)
    blocked = api.result("POST", f"{path}/keys/{key['thumbprint']}/block")
    assert blocked["blocked_keys"] == [key["thumbprint"]]
    assert desk.call(token).status_code == 401
    assert desk.exchange(integration).status_code == 400
    assert api.result("POST", f"{path}/keys/{key['thumbprint']}/unblock")["blocked_keys"] == []
    assert desk.exchange(integration).status_code == 200
    assert "43 characters" in api.refused("POST", f"{path}/keys/short/block")
    assert "43 characters" in api.refused("POST", f"{path}/keys/short/unblock")


def test_keys_that_cannot_be_fetched_are_reported(api: IntegrationApi) -> None:
    made = api.created(jwks_url=f"http://127.0.0.1:{free_port()}/jwks.json")
    assert "127.0.0.1" in api.refused("POST", f"/{made['client_id']}/refresh-keys")


def test_tries_an_assertion_without_using_it_up(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register(claim_conditions=["ref equals refs/heads/main", "report-only: actor exists"])
    path = f"/{integration.client_id}/try"
    good, bad = desk.assertion(ref="refs/heads/main"), desk.assertion(ref="refs/heads/evil")
    events = len(desk.events())

    accepted, refused = (api.result("POST", path, {"assertion": text}) for text in (good, bad))
    assert (accepted["accepted"], accepted["user"], accepted["would_refuse"]) == (True, "release.bot", True)
    assert (refused["accepted"], refused["reason"]) == (False, "claim_condition_failed")
    [failed] = [rule for rule in refused["rules"] if not rule["passed"] and not rule["only_reports"]]
    assert (failed["expected"], failed["received"]) == ("refs/heads/main", "refs/heads/evil")
    assert failed["hint"]
    assert len(desk.events()) == events
    assert desk.exchange(integration, assertion=good).status_code == 200
    assert api.result("POST", path, {"assertion": good})["reason"] == "jti_replayed"
    assert api.result("POST", path, {"assertion": "nonsense"})["accepted"] is False


@pytest.mark.parametrize("body", [{}, {"assertion": ""}, {"assertion": 5}, {"assertion": "x" * 70_000}, {"token": "x"}])
def test_a_trial_without_an_assertion_is_refused(api: IntegrationApi, body: dict[str, Any]) -> None:
    made = api.created()
    assert "assertion: " in api.refused("POST", f"/{made['client_id']}/try", body) or "token" in body


def test_only_users_with_a_role_come_in(
    client: FlaskClient, add_user: Callable[..., str], admin: dict[str, str]
) -> None:
    for role in ("oauth_admin", "mi_admin"):
        add_user(role, role, password=PASSWORD)
        assert client.get(INTEGRATIONS, headers=basic(role, PASSWORD)).status_code == 200
    assert client.get(INTEGRATIONS, headers=basic_header("admin", "wrong")).status_code == 401
    assert client.get(INTEGRATIONS).headers["WWW-Authenticate"].startswith("BASIC")


def test_a_token_that_acts_as_the_administrator_makes_no_integration(desk: TokenDesk) -> None:
    token = desk.token(desk.register(run_as="admin"))
    response = desk.call(token, "POST", INTEGRATIONS, json=dict(LEAST))
    assert response.status_code == 403
    assert "Access tokens cannot manage integrations" in response.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b"[" * 2000, "application/json", 400),
        (b"<a/>", "application/xml", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    client: FlaskClient, admin: dict[str, str], body: bytes, kind: str, status: int
) -> None:
    response = client.post(INTEGRATIONS, data=body, content_type=kind, headers=admin)
    assert response.status_code == status
    assert response.get_json()["status"] == "failure"


WORDS = st.sampled_from(
    [
        *("shared_key", "jwks", "certificates", "gitlab", "equals", "HS256", "admin", "a equals 1"),
        *("password", "client-credentials", "id_token"),
    ]
)
KEYS = st.sampled_from(["claim", "operator", "value", "value_type", "name", "kid", "certificate", "shared_key", "host"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
FIELD_NAMES = st.sampled_from([*EVERY_FIELD, "placeholders", "place", "client_id", "nonsense"])


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(FIELD_NAMES, JSON, max_size=4), st.sampled_from(["POST", "PUT", "PATCH"]))
def test_no_body_is_a_fault_of_ours(
    client: FlaskClient, admin: dict[str, str], known: str, body: dict[str, Any], method: str
) -> None:
    path = INTEGRATIONS if method == "POST" else f"{INTEGRATIONS}/{known}"
    sent = body if method == "PATCH" else {**LEAST, **body}
    response = client.open(
        path, method=method, data=json.dumps(sent), content_type="application/json", headers=admin | {"If-Match": "*"}
    )
    assert response.status_code in {200, 201, 400}, response.text


@pytest.fixture
def known(api: IntegrationApi) -> str:
    found: str = api.created(name="Known")["client_id"]
    return found


def test_a_certificate_may_come_as_der_in_base64(api: IntegrationApi) -> None:
    made_of = certificate()
    der = base64.b64encode(made_of.public_bytes(Encoding.DER)).decode()
    made = api.created(key_source="certificates", jwks_url=..., verifier_maps=[{"name": "main", "certificate": der}])
    path = f"/{made['client_id']}"
    again = api.result("PUT", path, api.result("GET", path))
    assert again["verifier_maps"][0]["certificate"].strip() == pem(made_of).strip()


@pytest.mark.parametrize("connection_type", ["password", "client_credentials"])
def test_a_type_without_a_provider_needs_a_name(api: IntegrationApi, connection_type: str) -> None:
    said = api.refused("POST", "", {"type": connection_type, "issuer": "https://ci.example.com"})
    assert "name: This field is required." in said
    assert "issuer: " in said


def test_an_issuer_or_a_jwks_url_is_enough(api: IntegrationApi) -> None:
    with provider_site() as site:
        issuer = site.publish()
        for given in ({"issuer": issuer}, {"jwks_url": site.url + JWKS}):
            made = api.result("POST", "", {**given, "run_as": "admin", "public_client": True})
            assert (made["issuer"], made["jwks_url"]) == (issuer, site.url + JWKS)
        del site.documents[JWKS]
        warned = api.send("POST", "", {"issuer": issuer, "run_as": "admin"})
        assert "Its keys have never been fetched (1 attempt). " in warned.text
        site.documents.clear()
        refused = api.send("POST", "", {"issuer": issuer, "run_as": "admin"})
        assert refused.status_code == 400
        assert "No document was found" in refused.text


@pytest.mark.parametrize("rows", [[None], [None, {"claim": "sub", "operator": "nonsense"}], [{"claim": ""}, None]])
def test_a_claim_condition_that_is_null_is_refused(api: IntegrationApi, known: str, rows: list[Any]) -> None:
    assert "may not be null" in api.refused("PATCH", f"/{known}", {"claim_conditions": rows})
