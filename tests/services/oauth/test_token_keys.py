"""The keys that sign access tokens: rotation, publication before and after signing, and blocking."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import update

from changegate import create_app
from changegate.errors import ChangegateError, RecordNotFound
from changegate.extensions import db
from changegate.models import OAuthTokenKey
from changegate.oauth_errors import TemporarilyUnavailable
from changegate.services.keys.key_set import KeySet
from changegate.services.oauth import token_keys
from changegate.services.oauth.token_key import header_of, load_verifier, make_key
from changegate.services.oauth.token_keys import (
    LEAD,
    PUBLISHED_AFTER,
    SIGNS_FOR,
    block_token_key,
    get_signer,
    list_published,
    list_token_keys,
    rotate_keys,
)
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("app_context")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
THREADS = 8


def signing_kid(at: datetime) -> str:
    """Return whose header the tokens of an instant have."""
    header = get_signer(at).header
    return next(facts.kid for facts in list_token_keys(at) if header_of(facts.kid) == header)


def published(at: datetime) -> list[str]:
    return [jwk["kid"] for jwk in list_published(at)]


def states(at: datetime) -> list[str]:
    return [facts.state for facts in list_token_keys(at)]


def stored(kid: str) -> OAuthTokenKey:
    db.session.expire_all()
    found = db.session.get(OAuthTokenKey, kid)
    assert found is not None
    return found


def test_there_is_no_key_before_one_is_needed() -> None:
    assert list_token_keys(START) == []


@pytest.mark.parametrize("need", [get_signer, list_published])
def test_the_first_need_makes_one_key_that_signs_at_once(need: object) -> None:
    assert callable(need)
    need(START)
    need(START)

    assert states(START) == ["signing"]


def test_published_keys_are_a_valid_public_key_set() -> None:
    [jwk] = list_published(START)

    assert set(jwk) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    [key] = KeySet.parse(json.dumps({"keys": [jwk]}).encode()).keys
    assert (key.kid, key.thumbprint, key.algorithms) == (jwk["kid"], jwk["kid"], {"ES256"})


def test_the_private_key_is_stored_sealed_and_never_shown() -> None:
    kid = signing_kid(START)

    text = stored(kid).private_key
    assert text.startswith("s1.") and "PRIVATE" not in text
    assert not {"d", "private_key"} & list_published(START)[0].keys()
    assert text not in repr(list_token_keys(START))


def test_a_key_signs_what_its_public_half_verifies() -> None:
    token = get_signer(START).sign(b'{"a":1}')
    [jwk] = list_published(START)
    verifier = load_verifier(jwk["kid"], jwk)

    signing_input, _, signature = token.rpartition(".")
    assert verifier is not None and signing_input.startswith(header_of(jwk["kid"]))
    assert not verifier.has_signed(signing_input.encode(), b"\0" * 64)
    assert len(signature) == 86


def test_a_public_half_counts_under_its_own_thumbprint_only() -> None:
    one, other = make_key(), make_key()

    assert load_verifier(one.kid, one.public_jwk) is not None
    assert load_verifier(one.kid, other.public_jwk) is None


def test_coordinates_keep_their_leading_zeros() -> None:
    made = [make_key() for _ in range(400)]

    assert all(len(key.public_jwk[name]) == 43 for key in made for name in ("x", "y"))


def test_a_rotation_publishes_before_it_signs_and_publishes_on_after() -> None:
    old = signing_kid(START)
    due = START + SIGNS_FOR - LEAD
    assert signing_kid(due - SECOND) == old and published(due - SECOND) == [old]

    [kept, new] = published(due)
    assert kept == old and signing_kid(due) == old and states(due) == ["next", "signing"]
    assert signing_kid(due + LEAD - SECOND) == old

    turn = due + LEAD
    assert signing_kid(turn) == new
    assert published(turn) == [old, new] and states(turn) == ["signing", "retired"]
    assert published(turn + PUBLISHED_AFTER - SECOND)[0] == old
    assert old not in published(turn + PUBLISHED_AFTER)


def test_a_retired_key_loses_its_private_half_and_is_forgotten_in_the_end() -> None:
    old = signing_kid(START)
    rotate_keys(START)
    get_signer(START + LEAD)

    assert stored(old).private_key is None
    assert stored(old).retired_at == START + LEAD
    get_signer(START + LEAD + PUBLISHED_AFTER)
    assert old not in [facts.kid for facts in list_token_keys(START + LEAD + PUBLISHED_AFTER)]


def test_an_instance_that_slept_for_years_goes_on_with_its_key_until_the_next_is_known() -> None:
    old = signing_kid(START)
    later = START + timedelta(days=1000)

    assert signing_kid(later) == old
    assert len(published(later)) == 2
    assert signing_kid(later + LEAD) != old


def test_a_manual_rotation_signs_after_the_requested_lead_time() -> None:
    old = signing_kid(START)
    made = rotate_keys(START, timedelta(hours=1))

    assert (made.state, made.active_from) == ("next", START + timedelta(hours=1))
    assert signing_kid(START + timedelta(minutes=59)) == old
    assert signing_kid(START + timedelta(hours=1)) == made.kid


def test_the_first_rotation_of_all_makes_a_key_that_signs() -> None:
    assert rotate_keys(START).state == "signing"
    assert states(START) == ["signing"]


def test_a_rotation_is_refused_while_a_key_is_pending() -> None:
    rotate_keys(START)
    waiting = rotate_keys(START)

    with pytest.raises(ChangegateError, match=f"The key {waiting.kid} is published already and signs from 2026-03-02"):
        rotate_keys(START)
    assert states(START) == ["next", "signing"]


def test_a_blocked_key_is_replaced_at_once_and_no_longer_published() -> None:
    old = signing_kid(START)
    blocked = block_token_key(old, START)

    assert (blocked.state, blocked.blocked_at, blocked.retired_at) == ("blocked", START, START)
    new = signing_kid(START)
    assert new != old and published(START) == [new] and states(START) == ["signing", "blocked"]
    assert stored(old).private_key is None


def test_a_pending_key_replaces_a_blocked_one() -> None:
    old = signing_kid(START)
    waiting = rotate_keys(START).kid
    block_token_key(old, START)

    assert signing_kid(START) == waiting and published(START) == [waiting]


def test_a_pending_key_can_be_blocked_and_the_current_one_keeps_signing() -> None:
    old = signing_kid(START)
    block_token_key(rotate_keys(START).kid, START)

    assert signing_kid(START + LEAD) == old
    assert published(START + LEAD) == [old]
    assert rotate_keys(START).state == "next"


def test_a_retired_key_can_be_blocked_and_keeps_when_it_was_retired() -> None:
    old = signing_kid(START)
    rotate_keys(START)
    later = START + LEAD + LEAD
    new = signing_kid(later)

    assert block_token_key(old, later).retired_at == START + LEAD
    assert published(later) == [new] and signing_kid(later) == new


def test_blocking_again_changes_nothing() -> None:
    kid = signing_kid(START)
    first = block_token_key(kid, START)

    assert block_token_key(kid, START + LEAD) == first
    assert states(START + LEAD) == ["signing", "blocked"]


def test_an_unknown_key_cannot_be_blocked() -> None:
    with pytest.raises(RecordNotFound):
        block_token_key("unknown", START)
    assert list_token_keys(START) == []


def test_a_key_that_cannot_be_decrypted_signs_nothing_and_names_the_remedy() -> None:
    kid = signing_kid(START)
    other = make_key()
    db.session.execute(update(OAuthTokenKey).values(private_key=other.private_key))
    db.session.commit()

    with pytest.raises(TemporarilyUnavailable) as caught:
        get_signer(START)

    assert caught.value.reason == "token_key_unreadable"
    assert f"changegate token-key block {kid}" in caught.value.detail
    block_token_key(kid, START)
    assert signing_kid(START) != kid


def test_signing_takes_one_statement(app: Flask) -> None:
    get_signer(START)
    with counted_statements() as statements:
        get_signer(START)

    assert len(statements) == 1


def test_a_key_that_another_process_has_just_blocked_signs_nothing() -> None:
    get_signer(START)
    with (
        mock.patch.object(token_keys, "_current_keys", return_value=[]),
        pytest.raises(TemporarilyUnavailable) as caught,
    ):
        get_signer(START)
    assert caught.value.reason == "token_key_missing"


def test_concurrent_first_requests_get_the_same_key(either_app: Flask) -> None:
    def sign(_number: int) -> str:
        with either_app.app_context():
            return get_signer(START).header

    with ThreadPoolExecutor(THREADS) as pool:
        headers = set(pool.map(sign, range(THREADS)))

    with either_app.app_context():
        [key] = list_token_keys(START)
    assert headers == {header_of(key.kid)}


def test_of_concurrent_rotations_one_takes_effect(either_app: Flask) -> None:
    with either_app.app_context():
        get_signer(START)

    def rotate(_number: int) -> bool:
        with either_app.app_context():
            try:
                rotate_keys(START)
            except ChangegateError:
                return False
            return True

    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(rotate, range(THREADS)))

    with either_app.app_context():
        assert (done.count(True), states(START)) == (1, ["next", "signing"])
        assert signing_kid(START + LEAD) == list_token_keys(START)[0].kid


def test_another_instance_with_the_same_database_and_another_secret_key_signs_nothing(
    app: Flask, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kid = signing_kid(START)
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    other = create_app(instance_path=tmp_path_factory.mktemp("other"), overrides={"database_url": url})
    token_keys.open_signer.cache_clear()

    with other.app_context():
        with pytest.raises(TemporarilyUnavailable):
            get_signer(START)
        assert published(START) == [kid]
        db.engine.dispose()
