"""Replay protection: an assertion is exchanged for one token only (RFC 7523 §3, `jti`).

    request 1    INSERT with the replay key ──> commits
    request 2    INSERT with the same key   ──> waits for request 1, then violates the unique constraint

The unique constraint decides, not a SELECT before the INSERT: two requests, in any two processes, could both pass a
SELECT before either of them writes.
"""

import hashlib


def replay_key_of(entity: str, issuer: str, digest: bytes) -> str:
    """Return the replay key of an assertion, 64 hex digits; `digest` is its `replay_digest`.

    The key covers the integration and the issuer, so that one party cannot use up the ids of another.
    """
    return hashlib.sha256(b"\0".join((entity.encode(), issuer.encode(), digest))).hexdigest()
