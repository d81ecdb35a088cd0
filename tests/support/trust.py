"""One integration's trust, as the tests of assertions use it."""

import functools
from datetime import timedelta
from typing import Any

from changegate.services.assertions.trust_policy import JTI_REQUIRED, TrustPolicy
from changegate.services.keys.key_set import KeySet
from tests.support.forge import AUDIENCE, ISSUER, ec_key, ed25519_key, jwk, key_set_document, rsa_key


def policy(**changes: Any) -> TrustPolicy:
    """Return the policy that `forge.claims()` meet, with changes."""
    demands = {
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE}),
        "algorithms": frozenset({"RS256", "ES256"}),
        "clock_skew": timedelta(seconds=60),
        "max_assertion_lifetime": timedelta(hours=1),
        "jti_claim": "jti",
        "replay_policy": JTI_REQUIRED,
        "allow_missing_kid": True,
    }
    return TrustPolicy(**(demands | changes))


@functools.cache
def key_set() -> KeySet:
    """Return a set of three keys, one of each kind."""
    return KeySet.parse(key_set_document(jwk(rsa_key()), jwk(ec_key(), "k2"), jwk(ed25519_key(), "k3")))
