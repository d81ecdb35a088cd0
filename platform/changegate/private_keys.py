"""The detection of private keys in pasted text.

It protects administrators from accidents. The rule that a public key never verifies a shared-key signature does not
depend on it.
"""

import re

# Members of private JWKs (RFC 7518 §6.2.2, §6.3.2, §6.4), searched as text: broken JSON may contain a key, too.
_PRIVATE_MEMBER = re.compile(r'"(?:d|p|q|dp|dq|qi|oth|k)"\s*:')
_JWK = re.compile(r'"(?:kty|keys)"\s*:')

LEAKED = (
    "This is a private key. It was not stored. Consider it leaked: have its owner replace it, and give the public half "
    "of the new one."
)


def names_jwk(text: str) -> bool:
    """Return whether a text has a member of a JWK or of a key set."""
    return _JWK.search(text) is not None


def holds_private_key(text: str) -> bool:
    """Return whether a text holds a private key in PEM or as a JWK."""
    return "PRIVATE KEY-" in text or (names_jwk(text) and _PRIVATE_MEMBER.search(text) is not None)
