"""The key set of the product's own tokens, which is public."""

import json

from flask.testing import FlaskClient

from changegate.api.token_keys import KEYS_MAX_AGE, PATH
from changegate.services.keys.key_set import KeySet
from changegate.services.oauth.token_keys import LEAD, SIGNS_FOR
from tests.conftest import Clock
from tests.support.statements import counted_statements


def kids(client: FlaskClient) -> list[str]:
    return [key["kid"] for key in client.get(PATH).get_json()["keys"]]


def test_is_public_and_cacheable(client: FlaskClient) -> None:
    answer = client.get(PATH)

    assert (answer.status_code, answer.content_type) == (200, "application/json;charset=UTF-8")
    assert answer.headers["Cache-Control"] == f"public, max-age={KEYS_MAX_AGE}"
    assert not {"Set-Cookie", "WWW-Authenticate", "X-Is-Logged-In"} & set(answer.headers.keys())
    assert KeySet.parse(answer.data).ignored == ()


def test_is_cached_no_longer_than_a_key_is_published_before_it_signs() -> None:
    assert LEAD.total_seconds() > KEYS_MAX_AGE
    assert KEYS_MAX_AGE <= 3600, "`token-key rotate` may be told to wait for an hour only"


def test_holds_nothing_private(client: FlaskClient) -> None:
    [key] = client.get(PATH).get_json()["keys"]

    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}


def test_is_the_same_until_a_key_joins_and_then_has_another_etag(client: FlaskClient, clock: Clock) -> None:
    first = client.get(PATH)
    unchanged = client.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")

    clock.advance(seconds=SIGNS_FOR.total_seconds())
    second = client.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert second.get_json()["keys"][:1] == first.get_json()["keys"]


def test_asking_again_makes_no_other_key_and_writes_nothing(client: FlaskClient) -> None:
    first = kids(client)
    with client.application.app_context(), counted_statements() as statements:
        assert kids(client) == first
    assert {text.split()[0] for text in statements} == {"SELECT"}


def test_head_is_get_without_the_body(client: FlaskClient) -> None:
    answer = client.head(PATH)

    assert (answer.status_code, answer.data) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(json.dumps(client.get(PATH).get_json(), separators=(",", ":")))
