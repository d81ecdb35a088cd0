"""Client secrets: made here, shown once, kept as a hash."""

import hashlib
import hmac
import secrets
from datetime import datetime

from changegate.failure_limit import Guess

SECRET_BYTES = 32
HINT_LENGTH = 4


def new_client_secret() -> str:
    """Return a fresh secret: 43 characters that need no encoding in a URL, a form or a shell."""
    # '-' and '_' are fine everywhere but at the start, where a shell command takes them for an option.
    return secrets.choice("abcdefghijklmnopqrstuvwxyz") + secrets.token_urlsafe(SECRET_BYTES)[1:]


def hash_client_secret(secret: str) -> str:
    """Return what is stored; plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_right_secret(
    _guess: Guess,
    secret: str,
    stored: str | None,
    previous: str | None,
    previous_expires_at: datetime | None,
    now: datetime,
) -> bool:
    """Tell whether a secret is the present one, or the one before it within its overlap.

    Unknown clients are compared too, with a hash that nothing matches, so that all refusals take as long.
    """
    digest = hash_client_secret(secret)
    is_present = hmac.compare_digest(digest, stored or "")
    is_previous = hmac.compare_digest(digest, previous or "")
    return is_present or (is_previous and previous_expires_at is not None and now < previous_expires_at)
