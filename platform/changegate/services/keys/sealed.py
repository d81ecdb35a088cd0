"""Secrets that must be read again: sealed by a key that the database does not hold.

AES-256-GCM under a key derived by HKDF (RFC 5869) from the instance's secret key. Whoever has a copy of the database
and no more has nothing; with another secret key what was sealed before cannot be opened.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from changegate.errors import SealBroken
from changegate.extensions import settings

# In front of everything sealed, so that another way to seal can be told from this one.
VERSION = "s1."
KEY_BYTES = 32
NONCE_BYTES = 12


def seal(secret: str | bytes, *, purpose: str) -> str:
    """Return a secret as ASCII text that may be stored; the same secret looks different each time.

    `purpose` names where it is stored: moved to another place, it cannot be opened there.
    """
    plain = secret.encode() if isinstance(secret, str) else secret
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _cipher(settings().secret_key, purpose).encrypt(nonce, plain, None)
    return VERSION + urlsafe_b64encode(nonce + sealed).decode()


def unseal(text: str, *, purpose: str) -> bytes:
    """Return what was sealed for this purpose; raises `SealBroken` for anything else, also by another secret key."""
    if not text.startswith(VERSION):
        raise SealBroken
    try:
        material = urlsafe_b64decode(text[len(VERSION) :])
        return _cipher(settings().secret_key, purpose).decrypt(material[:NONCE_BYTES], material[NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        raise SealBroken from None


@lru_cache(maxsize=16)
def _cipher(secret_key: str, purpose: str) -> AESGCM:
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"changegate sealed {purpose}".encode())
    return AESGCM(derived.derive(secret_key.encode()))
