"""One assertion buys one token (RFC 7523 §3, `jti`)."""

import hashlib


def assertion_claim(entity: str, issuer: str, digest: bytes) -> str:
    """Return what the database keeps unique: 64 hex digits for what makes an assertion the same one.

    It holds the integration and the issuer, so that nobody can burn another's ids.
    """
    return hashlib.sha256(b"\0".join((entity.encode(), issuer.encode(), digest))).hexdigest()
