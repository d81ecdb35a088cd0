"""Access tokens in JWT format (RFC 9068): their claims, their verification, and what is never accepted as one."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import OAuthExchange, OAuthTokenKey, SysUser
from changegate.services.oauth import jwt_token
from changegate.services.oauth.access_tokens import find_token_caller
from changegate.services.oauth.token_key import open_signer
from changegate.services.oauth.token_keys import (
    PUBLISHED_AFTER,
    SIGNS_FOR,
    block_token_key,
    list_token_keys,
    rotate_keys,
)
from tests.conftest import BASE_URL, Clock
from tests.support.forge import b64, ec_key, forge, jwk, key_set_document, rsa_key, unb64
from tests.support.misbehaving_jwks import reply
from tests.support.statements import counted_statements
from tests.support.token_desk import ROBOT, Integration, TokenDesk

JWKS = "/api/now/oauth/jwks"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register(token_format="JWT")


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Drop the tokens that this process has verified in other tests."""
    jwt_token._read_signed.cache_clear()
    jwt_token._find_verifier.cache_clear()


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".")[0]))
    return found


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".")[1]))
    return found


def private_key(app: Flask) -> Any:
    """Return the key that signs now, as only a thief of database and secret key would have it."""
    with app.app_context():
        row = db.session.query(OAuthTokenKey).filter(OAuthTokenKey.private_key.is_not(None)).first()
        return open_signer(row.kid, row.private_key).private_key


def resigned(desk: TokenDesk, token: str, head: Any = None, claims: Any = None, key: Any = None) -> str:
    """Return a token with other contents and a good signature, and let the row of the original be this one's.

    What is not given as text is written as the product writes it, so that nothing else is different.
    """
    parts = [compact(head or header_of(token)), compact(claims or claims_of(token))]
    made = forge(*parts, alg="ES256", key=key or private_key(desk.app))
    row = {"token_hash": hash_of(made)}
    with desk.app.app_context():
        assert db.session.query(OAuthExchange).filter_by(token_hash=hash_of(token)).update(row) == 1
        db.session.commit()
    return made


def compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def changed(members: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return members with a change, in their order; one that is `...` is left out."""
    return {name: value for name, value in (members | change).items() if value is not ...}


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_taken(desk: TokenDesk, token: str) -> bool:
    status = desk.call(token).status_code
    assert status in {201, 401}
    return status == 201


def test_a_token_has_the_claims_of_rfc_9068(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    token = desk.token(integration)

    [key] = desk.client.get(JWKS).get_json()["keys"]
    assert header_of(token) == {"alg": "ES256", "kid": key["kid"], "typ": "at+jwt"}
    claims, event = claims_of(token), desk.last_event()
    assert claims["iat"] == pytest.approx(clock().timestamp(), abs=5)
    with desk.app.app_context():
        robot = db.session.query(SysUser).filter_by(user_name=ROBOT).one().sys_id
    assert claims == {
        "iss": BASE_URL,
        "aud": BASE_URL,
        "sub": robot,
        "client_id": integration.client_id,
        "iat": claims["iat"],
        "exp": claims["iat"] + 1800,
        "jti": event.correlation_id,
        "scope": "change_request.create",
    }


def test_the_answer_is_that_of_any_token(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration)

    body = answer.get_json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 1800, "change_request.create")
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert claims_of(body["access_token"])["jti"] == answer.headers["X-Request-Id"]


def test_a_resource_server_verifies_a_token_by_the_published_keys(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    keys = jwt.PyJWKSet.from_dict(desk.client.get(JWKS).get_json())

    verified = jwt.decode(
        token, keys[header_of(token)["kid"]], algorithms=["ES256"], audience=BASE_URL, issuer=BASE_URL
    )

    assert verified == claims_of(token)


def test_a_token_of_every_key_that_is_published_is_taken(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register(token_format="jwt", access_token_lifespan_seconds=86_400)
    old = desk.token(integration)
    with desk.app.app_context():
        rotate_keys(clock())
    clock.advance(hours=23.9)
    before = desk.token(integration)
    clock.advance(hours=0.2)
    after = desk.token(integration)

    assert header_of(before)["kid"] == header_of(old)["kid"] != header_of(after)["kid"]
    assert (is_taken(desk, old), is_taken(desk, before), is_taken(desk, after)) == (False, True, True)


def test_keys_follow_each_other_by_themselves(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    first = header_of(desk.token(integration))["kid"]
    clock.advance(seconds=SIGNS_FOR.total_seconds())
    assert header_of(desk.token(integration))["kid"] == first
    assert len(desk.client.get(JWKS).get_json()["keys"]) == 2
    clock.advance(days=1)

    assert header_of(desk.token(integration))["kid"] != first


def test_a_blocked_key_stops_its_tokens_at_once_and_no_others(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    token, opaque = desk.token(integration), desk.token(desk.register("Other"))
    assert is_taken(desk, token)
    with desk.app.app_context():
        block_token_key(header_of(token)["kid"], clock())

    assert not is_taken(desk, token)
    assert is_taken(desk, opaque) and is_taken(desk, desk.token(integration))


def test_a_key_counts_for_as_long_as_it_is_published(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    token = desk.token(integration)
    for age, expected in ((PUBLISHED_AFTER - timedelta(minutes=1), True), (PUBLISHED_AFTER, False)):
        with desk.app.app_context():
            db.session.query(OAuthTokenKey).update({"retired_at": clock() - age})
            db.session.commit()
        assert is_taken(desk, token) is expected


def test_a_key_that_is_forgotten_verifies_nothing(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    assert is_taken(desk, token)
    with desk.app.app_context():
        db.session.query(OAuthTokenKey).delete()
        db.session.commit()

    assert not is_taken(desk, token)


def test_a_token_is_kept_as_a_hash_only(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)

    event = desk.last_event()
    kept = [str(getattr(event, column.name)) for column in OAuthExchange.__table__.columns]
    assert event.token_hash == hash_of(token)
    assert not [value for value in kept if token in value or token.split(".")[2] in value]


def test_the_same_contents_signed_again_are_refused(desk: TokenDesk, integration: Integration) -> None:
    """A thief of the key still has no token that was issued."""
    token = desk.token(integration)
    again = forge(compact(header_of(token)), compact(claims_of(token)), alg="ES256", key=private_key(desk.app))

    assert again != token
    assert not is_taken(desk, again) and is_taken(desk, token)


def test_a_row_is_not_enough_without_a_signature_by_our_key(desk: TokenDesk, integration: Integration) -> None:
    """Write access to the database without the key does not make a valid token either."""
    token = resigned(desk, desk.token(integration), key=ec_key())
    assert not is_taken(desk, token)

    assert is_taken(desk, resigned(desk, token))


def test_the_other_form_of_a_signature_is_refused(desk: TokenDesk, integration: Integration) -> None:
    """Of an ECDSA signature (r, s), (r, -s) is one too; each token has one spelling."""
    token = desk.token(integration)
    head, payload, signature = token.split(".")
    r, s = unb64(signature)[:32], int.from_bytes(unb64(signature)[32:])
    other = f"{head}.{payload}.{b64(r + (P256_ORDER - s).to_bytes(32))}"
    jwt.decode(other, private_key(desk.app).public_key(), algorithms=["ES256"], audience=BASE_URL)

    assert not is_taken(desk, other)


@pytest.mark.parametrize("name", ["typ", "kid", "alg"])
def test_a_header_that_is_not_ours_is_refused(desk: TokenDesk, integration: Integration, name: str) -> None:
    original = token = desk.token(integration)
    for value in (..., None, "", "JWT", "at+JWT", "none", "HS256", "ES384", 1, "x" * 43, "../key", []):
        token = resigned(desk, token, head=changed(header_of(original), {name: value}))
        assert not is_taken(desk, token), value
    assert is_taken(desk, resigned(desk, token, head=header_of(original)))


def test_a_header_with_more_in_it_is_refused(desk: TokenDesk, integration: Integration) -> None:
    original = token = desk.token(integration)
    for extra in ({"crit": ["exp"]}, {"jwk": {}}, {"jku": "https://evil.example"}, {"cty": "JWT"}):
        token = resigned(desk, token, head=header_of(original) | extra)
        assert not is_taken(desk, token), extra


def test_a_header_is_compared_to_the_letter_and_a_payload_is_not(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    token = resigned(desk, token, claims=json.dumps(claims_of(token), indent=1))
    assert is_taken(desk, token)
    token = resigned(desk, token)
    assert is_taken(desk, token)

    for spelling in (json.dumps(header_of(token)), compact(dict(reversed(header_of(token).items())))):
        token = resigned(desk, token, head=spelling)
        assert not is_taken(desk, token)


def test_a_header_in_another_base64url_spelling_is_refused(desk: TokenDesk, integration: Integration) -> None:
    """The last character of the header has unused bits, which a lenient decoder ignores."""
    token = desk.token(integration)
    head, rest = token.split(".", 1)
    other = f"{head[:-1]}{chr(ord(head[-1]) + 1)}"
    assert unb64(other) == unb64(head)

    with desk.app.app_context():
        found = [jwt_token.has_header_of_instance(f"{text}.{rest}") for text in (head, other)]
    assert found == [True, False]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("iss", (..., None, f"{BASE_URL}/", BASE_URL.upper(), [BASE_URL], "https://evil.example")),
        ("aud", (..., None, f"{BASE_URL}/", [BASE_URL], [], "https://evil.example")),
        ("exp", (..., None, 0, -1, "9999999999", True, 9999999999.5, "")),
        ("jti", (..., None, "", 1, [], "0" * 32, "x\0")),
    ],
)
def test_a_claim_that_is_not_as_it_was_issued_is_refused(
    desk: TokenDesk, integration: Integration, name: str, values: tuple[object, ...]
) -> None:
    original = token = desk.token(integration)
    for value in values:
        token = resigned(desk, token, claims=changed(claims_of(original), {name: value}))
        assert not is_taken(desk, token), value
    assert is_taken(desk, resigned(desk, token, claims=claims_of(original)))


def test_a_payload_that_is_not_a_plain_object_is_refused(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    for payload in ("[]", "1", '"x"', "null", '{"exp":1e999}', "{", "\ufeff{}", '{"a":{"b":{}}}'):
        token = resigned(desk, token, claims=payload)
        assert not is_taken(desk, token), payload


def test_a_token_expires_at_its_exp_whatever_its_row_contains(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        later = {"expires_at": clock() + SIGNS_FOR}
        assert db.session.query(OAuthExchange).filter_by(token_hash=hash_of(token)).update(later) == 1
        db.session.commit()
    clock.advance(seconds=1801)

    assert not is_taken(desk, token)


def test_a_token_of_another_instance_is_refused(desk: TokenDesk, integration: Integration) -> None:
    """Two instances may share one database and have two addresses; each accepts only its own tokens."""
    token = desk.token(integration)
    settings = desk.app.config["SETTINGS"]
    object.__setattr__(settings, "base_url", "https://other.example.com")

    assert not is_taken(desk, token)


def test_every_changed_character_is_noticed(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        for place in range(len(token)):
            for other in ("A", "B", "."):
                text = token[:place] + other + token[place + 1 :]
                assert text == token or find_token_caller(text) is None
        assert find_token_caller(token) is not None


def test_nothing_may_stand_behind_a_token(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        for tail in ("=", "==", ".", "A", " ", "\n", "é"):
            assert find_token_caller(token + tail) is None, tail


def test_what_has_three_segments_is_not_yet_a_token(app: Flask) -> None:
    with app.app_context():
        for text in ("..", "a.b.c", "cgat_a.b.c", "cgat_.e30.e30", "é.é.é", "\ud800.\ud800.x", "e30.e30."):
            assert find_token_caller(text) is None, text


def test_each_format_is_looked_for_in_one_way_only(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    opaque = desk.token(desk.register("Other"))
    with desk.app.app_context():
        db.session.query(OAuthTokenKey).delete()
        db.session.commit()
        for text, parts in ((f"cgat_{token}", []), (opaque, ["oauth_exchange"]), (token, ["oauth_token_key"])):
            with counted_statements() as statements:
                find_token_caller(text)
            assert len(statements) == len(parts) and all(map(str.__contains__, statements, parts)), text[:10]


def test_a_token_that_was_seen_before_costs_one_statement(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        find_token_caller(token)
        with counted_statements() as statements:
            assert find_token_caller(token) is not None
    assert len(statements) == 1


def test_an_opaque_token_costs_the_statement_that_it_always_did(desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    with desk.app.app_context(), counted_statements() as statements:
        assert find_token_caller(token) is not None
    assert len(statements) == 1 and "oauth_token_key" not in statements[0]


def test_an_opaque_exchange_does_not_load_token_keys(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration)
    with desk.app.app_context(), counted_statements() as statements:
        desk.token(integration)
        assert list_token_keys(desk.app.config["CLOCK"]()) == []
    assert not [text for text in statements[:-1] if "oauth_token_key" in text]


def test_a_format_can_be_changed_and_tokens_of_both_work_on(desk: TokenDesk, integration: Integration) -> None:
    one = desk.token(integration)
    desk.set(integration, token_format="opaque")
    other = desk.token(integration)

    assert other.startswith("cgat_")
    assert is_taken(desk, one) and is_taken(desk, other)


def test_an_assertion_is_not_an_access_token(desk: TokenDesk, integration: Integration) -> None:
    assertion = desk.assertion()

    assert not is_taken(desk, assertion)
    desk.token(integration, assertion=assertion)
    assert not is_taken(desk, assertion)


def test_a_providers_own_access_token_is_not_one_of_ours(desk: TokenDesk, integration: Integration) -> None:
    """The same typ, claims, and even kid, but signed by another key, or by one of another instance."""
    token = desk.token(integration)
    for key in (ec_key(), ec_key(name="theirs")):
        assert not is_taken(desk, forge(compact(header_of(token)), claims_of(token), alg="ES256", key=key))
    strange = {"alg": "RS256", "typ": "at+jwt", "kid": "k1"}
    assert not is_taken(desk, forge(strange, claims_of(token), alg="RS256", key=rsa_key()))


def test_an_access_token_is_not_an_assertion(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, assertion=desk.token(integration))

    assert answer.status_code == 400
    assert desk.last_event().reason == "typ_not_allowed"


def test_an_integration_that_trusts_our_own_keys_exchanges_no_token_for_a_token(
    desk: TokenDesk, integration: Integration
) -> None:
    """Not even where an administrator made every other rule fit."""
    token = desk.token(integration)
    desk.jwks.answer = reply(desk.client.get(JWKS).data)
    circle = desk.register(
        "Circle",
        issuer=BASE_URL,
        audiences=[BASE_URL],
        algorithms=["ES256"],
        required_typ="at+jwt",
        max_assertion_lifetime_seconds=86_400,
    )

    answer = desk.exchange(circle, assertion=token)

    event = desk.last_event()
    assert (answer.status_code, event.reason) == (400, "own_token")
    assert is_taken(desk, token)


def test_a_provider_whose_tokens_have_our_type_is_still_accepted(desk: TokenDesk) -> None:
    desk.jwks.answer = reply(key_set_document(jwk(rsa_key())))
    integration = desk.register(required_typ="at+jwt", token_format="jwt")
    head = {"alg": "RS256", "typ": "at+jwt", "kid": "k1"}

    assert is_taken(desk, desk.token(integration, assertion=desk.assertion(head)))


def test_a_key_that_cannot_be_decrypted_is_a_503_with_the_reason_in_the_event(
    desk: TokenDesk, integration: Integration
) -> None:
    desk.token(integration)
    with desk.app.app_context():
        db.session.query(OAuthTokenKey).update({"private_key": "s1.AAAA"})
        db.session.commit()

    answer = desk.exchange(integration)

    event = desk.last_event()
    assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")
    assert event.reason == "token_key_unreadable" and "token-key block" in event.detail
    assert is_taken(desk, desk.token(desk.register("Other")))


def test_a_refused_exchange_keeps_the_key_that_was_made_for_it(desk: TokenDesk, integration: Integration) -> None:
    assertion = desk.assertion()
    desk.token(integration, assertion=assertion)
    first = desk.client.get(JWKS).get_json()
    assert desk.exchange(integration, assertion=assertion).status_code == 400

    assert desk.client.get(JWKS).get_json() == first
