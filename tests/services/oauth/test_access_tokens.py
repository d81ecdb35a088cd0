"""Access tokens: opaque, stored as a hash, and checked again at every call."""

import re

import pytest
from sqlalchemy import event

from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.services.access.scope_policy import NO_LIMITS, ApiCall
from changegate.services.oauth.access_tokens import OPAQUE_PREFIX, find_token_caller
from tests.support.token_desk import ROBOT, TokenDesk

# As long as a token, and written otherwise.
UNDECODABLE = (OPAQUE_PREFIX + "=" * 64, OPAQUE_PREFIX + "é" * 64, OPAQUE_PREFIX + "A" * 63 + "!", "x" * 69)
CREATE = ApiCall("now/table", "POST", "change_request")


def test_a_token_acts_as_its_user_within_its_scope(desk: TokenDesk) -> None:
    integration = desk.register()

    caller = find_token_caller(desk.token(integration))

    assert (caller.user_name, caller.roles) == (ROBOT, {"itil"})
    assert caller.grant.entity == integration.sys_id
    assert caller.grant.policy.limits_of(CREATE) == NO_LIMITS


def test_a_token_has_256_random_bits_and_a_prefix_for_scanners(desk: TokenDesk) -> None:
    integration = desk.register()
    tokens = {desk.token(integration) for _ in range(5)}

    assert len(tokens) == 5
    assert all(re.fullmatch(rf"{OPAQUE_PREFIX}[A-Za-z0-9_-]{{64}}", token) for token in tokens)


def test_a_token_is_checked_in_one_statement(desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, text, *_rest: statements.append(text))

    find_token_caller(token)

    assert len(statements) <= 1


@pytest.mark.parametrize(
    "token", ["", "cgat", OPAQUE_PREFIX, f"{OPAQUE_PREFIX}x", f"{OPAQUE_PREFIX}\ud800", "Cgat_", *UNDECODABLE]
)
def test_no_other_text_is_a_token(desk: TokenDesk, token: str) -> None:
    desk.token(desk.register())

    assert find_token_caller(token) is None


def test_the_hash_of_a_token_is_not_accepted_as_a_token(desk: TokenDesk) -> None:
    desk.token(desk.register())
    [stored] = db.session.query(OAuthExchange).all()

    assert find_token_caller(stored.token_hash) is None
    assert find_token_caller(OPAQUE_PREFIX + stored.token_hash) is None


def test_a_token_of_an_integration_without_scopes_may_do_nothing(desk: TokenDesk) -> None:
    integration = desk.register()
    token = desk.token(integration)
    db.session.connection().exec_driver_sql("DELETE FROM oauth_entity_scope")
    db.session.commit()

    assert find_token_caller(token).grant.policy.limits_of(CREATE) is None
    assert desk.exchange(integration).get_json()["scope"] == ""


def test_a_token_is_accepted_only_with_the_correlation_id_of_its_exchange(desk: TokenDesk) -> None:
    integration = desk.register()
    one, other = desk.token(integration), desk.token(integration)
    start = len(OPAQUE_PREFIX) + 20  # 16 bytes are 21 characters and a bit

    assert find_token_caller(one[:start] + other[start:]) is None
    assert find_token_caller(one) == find_token_caller(other)
