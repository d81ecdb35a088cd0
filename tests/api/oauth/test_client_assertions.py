"""private_key_jwt: a client without a secret signs who it is, and nothing else passes for that (decision 0014)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthClientAssertion
from changegate.services.oauth.events import report_of
from tests.conftest import BASE_URL, Clock
from tests.support.client_assertions import ASSERTION_TYPE, client_assertion, client_proof
from tests.support.concurrent_calls import concurrent_calls
from tests.support.forge import b64, ec_key, header, jwk, key_set_document, rsa_key, unb64
from tests.support.jobs import run_due_jobs
from tests.support.misbehaving_jwks import raw, reply
from tests.support.token_desk import ISSUER, JWT_BEARER, Integration, TokenDesk, basic_header

INTROSPECT, REVOKE, TOKEN = "/oauth/introspect", "/oauth/revoke", "/oauth/token"
LIMIT = 20
EVIL = "https://evil.example.com"
OTHER_TYPES: tuple[object, ...] = (
    *("at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "authorization-grant+jwt", "", 1),
)
OTHER_AUDIENCES: tuple[object, ...] = (
    f"{BASE_URL}/oauth/token/",
    f"{BASE_URL}/oauth/introspect",
    f"{BASE_URL}/",
    f"{BASE_URL}#",
    f"{BASE_URL}.evil.example.com",
    f"{BASE_URL}@evil.example.com",
    BASE_URL.upper(),
    BASE_URL.replace("https", "http"),
    EVIL,
    "",
    ...,
    None,
    [],
    {"0": BASE_URL},
    True,
)


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ratelimit_enabled": "0"}


@pytest.fixture
def machine(desk: TokenDesk) -> Integration:
    """An integration without a secret, which signs by the key that it is trusted by."""
    return desk.register("Machine", public_client=True)


def ask(desk: TokenDesk, form: Mapping[str, Any], path: str = INTROSPECT, **options: Any) -> TestResponse:
    return desk.send(urlencode({"token": "x", **form}, doseq=True), path, **options)


def send(desk: TokenDesk, client: Integration, assertion: str | None = None, path: str = INTROSPECT) -> TestResponse:
    return ask(desk, client_proof(desk, client, assertion), path)


def require_refused(desk: TokenDesk, answer: TestResponse, *reasons: str) -> None:
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert answer.get_json()["error_description"].startswith("Client authentication failed (")
    if reasons:
        assert desk.last_event().reason in reasons


def test_a_client_authenticates_with_a_signature(desk: TokenDesk, machine: Integration) -> None:
    token = desk.token(machine)

    body = ask(desk, {**client_proof(desk, machine), "token": token}).get_json()

    assert (body["active"], body["client_id"]) == (True, machine.client_id)


def test_a_client_revokes_its_own_tokens_so_and_no_others(desk: TokenDesk, machine: Integration) -> None:
    own, foreign = desk.token(machine), desk.token(desk.register("Other"))
    for token in (own, foreign):
        assert ask(desk, {**client_proof(desk, machine), "token": token}, REVOKE).status_code == 200

    assert (desk.call(own).status_code, desk.call(foreign).status_code) == (401, 201)


@pytest.mark.parametrize("path", [TOKEN, "/oauth_token.do"])
def test_a_client_gets_a_token_with_a_signature(desk: TokenDesk, machine: Integration, path: str) -> None:
    answer = desk.exchange(machine, path, client_id=..., **client_proof(desk, machine))

    assert answer.status_code == 200
    assert desk.call(answer.get_json()["access_token"]).status_code == 201


def test_the_client_id_may_stand_beside_it(desk: TokenDesk, machine: Integration) -> None:
    assert ask(desk, {**client_proof(desk, machine), "client_id": machine.client_id}).status_code == 200


def test_a_client_with_a_bad_assertion_is_not_treated_as_public(desk: TokenDesk, machine: Integration) -> None:
    bad = client_proof(desk, machine, client_assertion(desk, machine, aud=EVIL))

    answer = desk.exchange(machine, **bad)

    require_refused(desk, answer, "aud_mismatch")


def test_the_types_that_pass(desk: TokenDesk, machine: Integration) -> None:
    for typ in ("JWT", "jwt", "application/jwt", "client-authentication+jwt", ...):
        assert send(desk, machine, client_assertion(desk, machine, header(typ=typ))).status_code == 200, typ


def test_a_jwt_of_another_type_is_refused(desk: TokenDesk, machine: Integration) -> None:
    for typ in OTHER_TYPES:
        answer = send(desk, machine, client_assertion(desk, machine, header(typ=typ)))
        require_refused(desk, answer, "typ_not_allowed")


@pytest.mark.parametrize("path", ["", "/oauth/token", "/oauth_token.do"])
@pytest.mark.parametrize("at", [INTROSPECT, REVOKE, TOKEN])
def test_the_issuer_and_the_token_endpoint_are_audiences(
    desk: TokenDesk, machine: Integration, path: str, at: str
) -> None:
    """Authlib names the token endpoint wherever the assertion is sent."""
    proof = client_proof(desk, machine, client_assertion(desk, machine, aud=BASE_URL + path))
    answer = desk.exchange(machine, **proof) if at == TOKEN else ask(desk, proof, at)
    assert answer.status_code == 200


def test_what_authlib_signs_by_default_is_accepted(either_desk: TokenDesk) -> None:
    """Authlib 1.9, `private_key_jwt_sign`: no kid, the token endpoint as audience, and one hour to live."""
    client = either_desk.register("Machine", public_client=True, allow_missing_kid=True)
    at = int(either_desk.app.config["CLOCK"]().timestamp())
    claims = {"aud": f"{BASE_URL}/oauth/token", "iat": at, "exp": at + 3600, "jti": "a" * 36}
    for path in (TOKEN, INTROSPECT):
        signed = client_assertion(either_desk, client, {"typ": "JWT", "alg": "RS256"}, **claims | {"jti": path})
        proof = client_proof(either_desk, client, signed)
        answer = either_desk.exchange(client, **proof) if path == TOKEN else ask(either_desk, proof)
        assert answer.status_code == 200, either_desk.last_event()


def test_no_other_audience_is_accepted(desk: TokenDesk, machine: Integration) -> None:
    """CVE-2025-27370, -27371: a server that misleads a client may name any other endpoint as its audience."""
    for audience in OTHER_AUDIENCES:
        answer = send(desk, machine, client_assertion(desk, machine, aud=audience))
        require_refused(desk, answer, "aud_mismatch")


@pytest.mark.parametrize("others", [[EVIL], [f"{BASE_URL}/oauth/token"], [BASE_URL]])
def test_an_audience_of_several_is_refused(desk: TokenDesk, machine: Integration, others: list[str]) -> None:
    """Not even where the integration lets its grants be meant for others as well."""
    desk.set(machine, allow_additional_audiences=True, audiences=[BASE_URL, *others])
    for audience in ([BASE_URL, *others], [*others, BASE_URL]):
        require_refused(desk, send(desk, machine, client_assertion(desk, machine, aud=audience)), "aud_multiple")


def test_audiences_of_grants_are_refused_in_client_assertions(desk: TokenDesk) -> None:
    machine = desk.register("Machine", public_client=True, audiences=["https://desk.example.com/grants"])
    grants_audience = client_assertion(desk, machine, aud="https://desk.example.com/grants")
    require_refused(desk, send(desk, machine, grants_audience), "aud_mismatch")

    assert send(desk, machine).status_code == 200


def test_the_conditions_on_grants_ask_nothing_of_client_assertions(desk: TokenDesk, machine: Integration) -> None:
    condition = {"claim": "ref", "operator": "equals", "value_type": "string", "value": "main", "report_only": False}
    desk.set(machine, claim_conditions=[condition])

    assert send(desk, machine).status_code == 200
    assert desk.exchange(machine).status_code == 400


def test_another_claim_does_not_replace_the_audience(desk: TokenDesk, machine: Integration) -> None:
    desk.set(machine, audience_claim="client_id")
    smuggled = client_assertion(desk, machine, aud=EVIL, client_id=BASE_URL)

    require_refused(desk, send(desk, machine, smuggled), "aud_mismatch")


def test_an_assertion_can_be_used_once(desk: TokenDesk, machine: Integration) -> None:
    assertion = client_assertion(desk, machine)
    assert send(desk, machine, assertion).status_code == 200

    for path in (INTROSPECT, REVOKE):
        require_refused(desk, send(desk, machine, assertion, path), "jti_replayed")
    answer = desk.exchange(machine, **client_proof(desk, machine, assertion))
    require_refused(desk, answer, "jti_replayed")


def test_a_client_assertion_is_used_up_even_if_the_request_fails(desk: TokenDesk, machine: Integration) -> None:
    proof = client_proof(desk, machine)
    refused = desk.exchange(machine, assertion=desk.assertion(aud=EVIL), **proof)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")

    require_refused(desk, desk.exchange(machine, **proof), "jti_replayed")


def test_an_assertion_that_was_refused_is_not_spent(desk: TokenDesk, machine: Integration, clock: Clock) -> None:
    early = client_assertion(desk, machine, nbf=int(clock().timestamp()) + 120, exp=int(clock().timestamp()) + 200)
    require_refused(desk, send(desk, machine, early), "not_yet_valid")
    clock.advance(seconds=90)

    assert send(desk, machine, early).status_code == 200


def test_of_many_at_once_one_is_taken(desk: TokenDesk, machine: Integration) -> None:
    proof = client_proof(desk, machine)

    def ask_once(_: int) -> int:
        with desk.app.app_context():
            body = urlencode({"token": "x", **proof})
            return (
                desk.app.test_client()
                .post(REVOKE, data=body, content_type="application/x-www-form-urlencoded")
                .status_code
            )

    with concurrent_calls(8) as pool:
        assert sorted(pool.map(ask_once, range(8))) == [200] + [401] * 7


def test_the_same_jti_of_another_client_is_another_one(desk: TokenDesk, machine: Integration) -> None:
    other = desk.register("Other", public_client=True)

    assert send(desk, machine, client_assertion(desk, machine, jti="1")).status_code == 200
    assert send(desk, other, client_assertion(desk, other, jti="1")).status_code == 200
    require_refused(desk, send(desk, other, client_assertion(desk, other, jti="1", sub=other.client_id)))


def test_another_spelling_of_a_signature_is_the_same_assertion(desk: TokenDesk) -> None:
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
    machine = desk.register("Machine", public_client=True)
    assertion = client_assertion(desk, machine, alg="ES256")
    assert send(desk, machine, assertion).status_code == 200
    signing_input, _, _ = assertion.rpartition(".")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    signature = unb64(assertion.rpartition(".")[2])
    flipped = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)

    require_refused(desk, send(desk, machine, f"{signing_input}.{b64(flipped)}"), "jti_replayed")


def test_a_jti_is_required_whatever_grants_need(desk: TokenDesk, machine: Integration) -> None:
    desk.set(machine, replay_policy="reusable-until-exp", enable_jti_verification=False, jti_claim="uti")
    for jti in [..., "", None, 1, "x" * 256, ["a"]]:
        assertion = client_assertion(desk, machine, jti=jti, uti="unique")
        require_refused(desk, send(desk, machine, assertion), "jti_missing")


def test_reusable_grants_make_no_reusable_client_assertions(desk: TokenDesk, machine: Integration) -> None:
    desk.set(machine, replay_policy="reusable-until-exp", enable_jti_verification=False)
    assertion = client_assertion(desk, machine)
    assert send(desk, machine, assertion).status_code == 200

    require_refused(desk, send(desk, machine, assertion), "jti_replayed")


def test_one_hour_is_the_most_that_an_assertion_may_live(desk: TokenDesk, machine: Integration, clock: Clock) -> None:
    at = int(clock().timestamp())
    assert send(desk, machine, client_assertion(desk, machine, iat=at, exp=at + 3600)).status_code == 200

    require_too_long(desk, send(desk, machine, client_assertion(desk, machine, iat=at, exp=at + 3601)), 3600)


def require_too_long(desk: TokenDesk, answer: TestResponse, seconds: int) -> None:
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    told = f"Client authentication failed: a client assertion may live for at most {seconds} seconds ("
    assert answer.get_json()["error_description"].startswith(told)
    assert desk.last_event().reason == "lifetime_too_long"


def test_a_shorter_life_of_grants_counts_too(desk: TokenDesk, clock: Clock) -> None:
    machine = desk.register("Machine", public_client=True, max_assertion_lifetime_seconds=60)
    at = int(clock().timestamp())

    require_too_long(desk, send(desk, machine, client_assertion(desk, machine, iat=at, exp=at + 61)), 60)


def test_a_forged_long_assertion_reveals_no_limit(desk: TokenDesk, machine: Integration, clock: Clock) -> None:
    at = int(clock().timestamp())
    forged = client_assertion(desk, machine, key=rsa_key(), head=header(kid="unknown"), iat=at, exp=at + 7200)
    require_refused(desk, send(desk, machine, forged))


@pytest.mark.parametrize(
    ("claim", "offset", "reason"),
    [("exp", -61, "expired"), ("iat", 120, "iat_invalid"), ("nbf", 120, "not_yet_valid"), ("exp", None, "exp_missing")],
)
def test_times_are_checked(
    desk: TokenDesk, machine: Integration, clock: Clock, claim: str, offset: int | None, reason: str
) -> None:
    value = ... if offset is None else int(clock().timestamp()) + offset
    answer = send(desk, machine, client_assertion(desk, machine, **{claim: value}))

    require_refused(desk, answer, reason)


def test_issuer_and_subject_are_the_client(desk: TokenDesk, machine: Integration) -> None:
    other = desk.register("Other", public_client=True)
    cases = [
        ({"iss": ISSUER}, "client_unknown"),
        ({"iss": ...}, "client_unknown"),
        ({"sub": other.client_id}, "sub_mismatch"),
        ({"sub": "build-42"}, "sub_mismatch"),
        ({"sub": machine.client_id.upper()}, "sub_mismatch"),
        ({"sub": ...}, "payload_invalid"),
    ]
    for claims, reason in cases:
        require_refused(desk, send(desk, machine, client_assertion(desk, machine, **claims)), reason)


def test_one_client_does_not_prove_another_with_one_key(desk: TokenDesk, machine: Integration) -> None:
    """Two integrations may trust one provider; what one of them signs names it."""
    other = desk.register("Other", public_client=True)
    token = desk.token(other)

    form = {**client_proof(desk, machine), "client_id": other.client_id, "token": token}
    require_refused(desk, ask(desk, form), "iss_mismatch")
    event = desk.last_event()
    assert (event.kid, event.algorithm, event.issuer) == ("k1", "RS256", machine.client_id)
    assert (event.subject, len(event.jti_digest)) == (machine.client_id, 64)
    mixed = client_assertion(desk, other, sub=machine.client_id)
    require_refused(desk, ask(desk, {**client_proof(desk, other, mixed), "token": token}), "sub_mismatch")
    foreign = ask(desk, {**client_proof(desk, machine), "token": token})
    assert foreign.get_json() == {"active": False}


def test_a_client_with_a_secret_must_use_it(desk: TokenDesk) -> None:
    """Otherwise, a thief of the signing key would not need the secret, and the secret would protect nothing."""
    integration = desk.register()

    require_refused(desk, send(desk, integration), "client_assertion_refused")
    answer = desk.exchange(integration, client_id=..., client_secret=..., **client_proof(desk, integration))
    require_refused(desk, answer, "client_assertion_refused")


def test_a_client_that_is_asleep_proves_nothing(desk: TokenDesk, machine: Integration) -> None:
    desk.set(machine, active=False)

    require_refused(desk, send(desk, machine), "client_inactive")


def test_grants_and_client_assertions_are_not_interchangeable(desk: TokenDesk, machine: Integration) -> None:
    require_refused(desk, send(desk, machine, desk.assertion()), "client_unknown")
    form = {**client_proof(desk, machine, desk.assertion()), "client_id": machine.client_id}
    require_refused(desk, ask(desk, form), "iss_mismatch")

    answer = desk.exchange(machine, assertion=client_assertion(desk, machine))
    assert (answer.status_code, desk.last_event().reason) == (400, "iss_mismatch")


@pytest.mark.parametrize("required_typ", [None, "client-authentication+jwt", "JWT"])
def test_no_jwt_is_both_where_the_client_is_the_issuer_of_its_grants(
    desk: TokenDesk, machine: Integration, required_typ: str | None
) -> None:
    """As Kibana signs its grants: the type then distinguishes the two."""
    desk.set(machine, issuer=machine.client_id, audiences=[BASE_URL], required_typ=required_typ)
    for typ in ("JWT", "client-authentication+jwt", ...):
        made = [client_assertion(desk, machine, header(typ=typ)) for _ in range(3)]
        is_proof = send(desk, machine, made[0]).status_code == 200
        is_grant = desk.exchange(machine, assertion=made[1]).status_code == 200
        assert not (is_proof and is_grant), typ
        both = desk.exchange(machine, assertion=made[2], **client_proof(desk, machine, made[2]))
        assert both.status_code in {400, 401}, typ


def test_the_other_type_proves_a_client_that_is_the_issuer_of_its_grants(desk: TokenDesk, machine: Integration) -> None:
    desk.set(machine, issuer=machine.client_id, audiences=[BASE_URL])
    telling = client_assertion(desk, machine, header(typ="client-authentication+jwt"))

    answer = desk.exchange(machine, assertion=client_assertion(desk, machine), **client_proof(desk, machine, telling))

    assert answer.status_code == 200


def test_our_own_tokens_authenticate_no_client(desk: TokenDesk) -> None:
    machine = desk.register("Machine", public_client=True, token_format="jwt")
    token = desk.token(machine)

    require_refused(desk, ask(desk, {**client_proof(desk, machine, token), "client_id": machine.client_id}))


def test_a_key_that_was_blocked_proves_no_client(desk: TokenDesk, machine: Integration) -> None:
    assert send(desk, machine).status_code == 200
    thumbprint = _thumbprint(jwk(rsa_key()))
    desk.set(machine, blocked_keys=[thumbprint])

    require_refused(desk, send(desk, machine), "key_blocked")


def _thumbprint(key: dict[str, Any]) -> str:
    """RFC 7638 §3, by hand."""
    members = json.dumps({name: key[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    return b64(hashlib.sha256(members.encode()).digest())


def _public_bytes(encoding: serialization.Encoding) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key().public_key().public_bytes(encoding, form)


def test_a_public_key_is_not_a_shared_secret(desk: TokenDesk, machine: Integration) -> None:
    encodings = (serialization.Encoding.PEM, serialization.Encoding.DER)
    secrets = [*map(_public_bytes, encodings), base64.urlsafe_b64decode(jwk(rsa_key())["n"] + "=="), b""]
    for alg, secret in product(("HS256", "HS384", "HS512"), secrets):
        made = client_assertion(desk, machine, alg=alg, key=secret)
        require_refused(desk, send(desk, machine, made), "alg_not_allowed")


def test_the_header_chooses_no_algorithm(desk: TokenDesk, machine: Integration) -> None:
    for alg in ("none", "None", "NONE", "", "RS1", "PS256", "ES256", "EdDSA", None, 1, ["RS256"]):
        signed = client_assertion(desk, machine, header(alg=alg))
        for made in (signed, f"{signed.rpartition('.')[0]}."):
            form = {**client_proof(desk, machine, made), "client_id": machine.client_id}
            require_refused(desk, ask(desk, form))


def test_a_header_brings_no_key(desk: TokenDesk, machine: Integration) -> None:
    theirs = rsa_key("theirs")
    for more in (
        {"jwk": jwk(theirs)},
        {"jku": f"{EVIL}/jwks"},
        {"x5u": f"{EVIL}/cert"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 1},
        {"kid": "../../dev/null"},
    ):
        made = client_assertion(desk, machine, header(**more), key=theirs)
        require_refused(desk, ask(desk, {**client_proof(desk, machine, made), "client_id": machine.client_id}))


def test_a_shared_key_proves_no_client(desk: TokenDesk) -> None:
    """It would be a secret under another name, and one that is kept to be read again."""
    secret = "correct-horse-battery-staple-correct-horse"
    maps = [{"name": "HS", "kid": None, "shared_key": secret, "enforce_dates": False}]
    machine = desk.register(
        "Machine", public_client=True, key_source="shared_key", jwks_url=..., verifier_maps=maps, algorithms=["HS256"]
    )
    for head in (header(alg="HS256"), header(alg="HS256", kid=...)):
        made = client_assertion(desk, machine, head, key=secret.encode(), alg="HS256")
        require_refused(desk, send(desk, machine, made), "alg_not_allowed")


def test_incomplete_credentials_are_refused(desk: TokenDesk, machine: Integration) -> None:
    texts = ("x", "a.b.c", "\x00", "é." * 3, "x" * 60_000)
    types = ("urn:ietf:params:oauth:client-assertion-type:saml2-bearer", ASSERTION_TYPE.upper(), "")
    forms: list[dict[str, str]] = [{"client_assertion_type": ASSERTION_TYPE}]
    forms += [{"client_assertion": text, "client_assertion_type": ASSERTION_TYPE} for text in texts]
    forms += [{**client_proof(desk, machine), "client_assertion_type": other} for other in types]
    for form, path in product(forms, (INTROSPECT, REVOKE, TOKEN)):
        request = {**form, "grant_type": JWT_BEARER, "assertion": desk.assertion()}
        for named in ({"client_id": machine.client_id}, {}):
            require_refused(desk, ask(desk, request | named, path))


def test_one_proof_is_enough_and_two_are_too_many(desk: TokenDesk, machine: Integration) -> None:
    integration = desk.register("With a secret")
    secret = {"client_id": integration.client_id, "client_secret": integration.secret}
    in_body = ask(desk, {**client_proof(desk, integration), **secret})
    headers = basic_header(integration.client_id, integration.secret or "")
    by_basic = ask(desk, client_proof(desk, integration), headers=headers)
    twice = ask(desk, {**client_proof(desk, machine), "client_assertion": ["a", "b"]})

    for answer in (in_body, by_basic, twice):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_an_assertion_in_the_query_string_is_refused(desk: TokenDesk, machine: Integration) -> None:
    answer = desk.send("token=x", f"{INTROSPECT}?{urlencode(client_proof(desk, machine))}")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_unavailable_keys_are_a_server_error(desk: TokenDesk, machine: Integration) -> None:
    desk.jwks.answer = raw(b"")

    for path in (INTROSPECT, REVOKE):
        answer = send(desk, machine, path=path)
        assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def test_a_rotated_key_is_fetched(desk: TokenDesk, machine: Integration) -> None:
    assert send(desk, machine).status_code == 200
    desk.jwks.answer = reply(key_set_document(jwk(rsa_key("next"), "k2")))

    made = client_assertion(desk, machine, header(kid="k2"), key=rsa_key("next"))
    assert send(desk, machine, made).status_code == 200


def test_the_administrator_sees_every_checked_rule(desk: TokenDesk, machine: Integration) -> None:
    assertion = client_assertion(desk, machine, aud=EVIL)
    answer = send(desk, machine, assertion)

    event = desk.last_event()
    rules = {rule.rule: rule for rule in report_of(event)}
    assert event.correlation_id == answer.headers["X-Request-Id"]
    assert event.client_id == machine.client_id
    expected = f"{BASE_URL}, {BASE_URL}/oauth/token, {BASE_URL}/oauth_token.do"
    assert (rules["aud"].expected, rules["aud"].received, rules["signature"].passed) == (expected, EVIL, True)
    assert assertion not in str([getattr(event, column.key) for column in event.__table__.columns])


def test_nothing_of_an_assertion_is_kept_but_a_digest_and_that_not_for_ever(
    desk: TokenDesk, machine: Integration, clock: Clock
) -> None:
    assert send(desk, machine, client_assertion(desk, machine, jti="the one")).status_code == 200
    with desk.app.app_context():
        [row] = db.session.execute(select(OAuthClientAssertion)).scalars()
        assert len(row.replay_key) == 64 and "the one" not in row.replay_key
    clock.advance(hours=2)
    assert send(desk, machine).status_code == 200
    run_due_jobs(desk.app, "oauth.purge_client_assertions")

    with desk.app.app_context():
        assert db.session.execute(select(func.count()).select_from(OAuthClientAssertion)).scalar_one() == 1


def test_both_databases_take_an_assertion_once(either_desk: TokenDesk) -> None:
    machine = either_desk.register("Machine", public_client=True)
    assertion = client_assertion(either_desk, machine)

    assert send(either_desk, machine, assertion).status_code == 200
    require_refused(either_desk, send(either_desk, machine, assertion), "jti_replayed")


class TestLimited:
    """With the limit of failures, which the other tests would meet with."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {}

    def test_wrong_assertions_are_limited_with_all_other_failures(self, desk: TokenDesk, machine: Integration) -> None:
        statuses = [send(desk, machine, client_assertion(desk, machine, aud=EVIL)).status_code for _ in range(LIMIT)]

        assert statuses == [401] * LIMIT
        assert send(desk, machine).status_code == 429
        assert desk.exchange(machine).status_code == 429
