"""Encryption of stored secrets that must be readable again, with a key that the database does not hold.

AES-256-GCM with a key derived by HKDF (RFC 5869) from the instance's secret key. A copy of the database alone does not
disclose the secrets. After a change of the secret key, secrets that were sealed before cannot be opened.
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

# The prefix of every sealed text, so that a future format can be distinguished from this one.
VERSION = "s1."
KEY_BYTES = 32
NONCE_BYTES = 12


def seal(secret: str | bytes, *, purpose: str) -> str:
    """Encrypt a secret and return ASCII text to store; each call returns another text for the same secret.

    `purpose` names the place where the text is stored. Moved to another place, the text cannot be opened.
    """
    plain = secret.encode() if isinstance(secret, str) else secret
    # Random 96-bit nonces are safe for up to 2^32 texts of one purpose, far more than an instance stores.
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _cipher(settings().secret_key, purpose).encrypt(nonce, plain, None)
    return VERSION + urlsafe_b64encode(nonce + sealed).decode()


def unseal(text: str, *, purpose: str) -> bytes:
    """Return the secret that was sealed for this purpose; raises `SealBroken` for any other text or secret key."""
    if not text.startswith(VERSION):
        raise SealBroken
    try:
        material = urlsafe_b64decode(text[len(VERSION) :])
        return _cipher(settings().secret_key, purpose).decrypt(material[:NONCE_BYTES], material[NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        raise SealBroken from None


# The secret key is an argument, so that applications with different keys in one process do not share an entry.
@lru_cache(maxsize=16)
def _cipher(secret_key: str, purpose: str) -> AESGCM:
    # Never change these arguments: all stored secrets would be unreadable. A new format needs a new `VERSION`.
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"changegate sealed {purpose}".encode())
    return AESGCM(derived.derive(secret_key.encode()))
