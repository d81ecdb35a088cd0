"""An attack on an assertion: what is wrong with the token, and what it must be refused for.

Tokens are forged from raw segments. Unless an attack says otherwise they are signed with a key the set holds, so
that nothing but the flaw in question stands between the token and acceptance.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.keys.key_set import KeySet
from tests.support.forge import NOW, key_set_document
from tests.support.trust import key_set, policy

NOT_COMPACT = "assertion_not_compact_jws"
# Policies that name shared-key algorithms and none by mistake; the list alone must not make them work.
EVERYTHING = frozenset("RS256 RS384 RS512 PS256 ES256 ES384 ES512 EdDSA HS256 HS384 HS512 none".split())
LAX = {"algorithms": EVERYTHING}


@dataclass(frozen=True)
class Attack:
    """A flaw, as a table names it, and which of its forms; the rest is what differs from the usual trust."""

    flaw: str
    form: str
    token: Callable[[], str]
    reason: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    keys: Callable[[], list[dict[str, Any]]] | None = None


def slug(flaw: str) -> str:
    """Return the name of a flaw as it can stand in the name of a test."""
    return re.sub(r"\W+", "_", flaw).strip("_")


def attacks(*listed: Attack) -> pytest.MarkDecorator:
    """Run a test with each attack; no two may have the same name."""
    names = [f"{slug(one.flaw)}-{one.form}" for one in listed]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    marks = [pytest.mark.regression(one.flaw) for one in listed]
    cases = zip(listed, names, marks, strict=True)
    return pytest.mark.parametrize("attack", [pytest.param(one, id=name, marks=mark) for one, name, mark in cases])


def assert_refused(attack: Attack) -> AssertionRefused:
    """Insist that a token is refused, and for the flaw it has."""
    keys = key_set()
    if attack.keys:
        described = attack.keys()
        keys = KeySet.parse(key_set_document(*described)) if described else KeySet(keys=(), ignored=())
    with pytest.raises(AssertionRefused) as refused:
        UnverifiedAssertion.parse(attack.token()).verify(policy(**attack.policy), keys, now=NOW)
    assert refused.value.reason == attack.reason
    assert refused.value.report.reason == attack.reason
    return refused.value
