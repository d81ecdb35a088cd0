"""Passwords that were verified, remembered without keeping them."""

import hashlib
import hmac
import secrets
import threading

from cachetools import LRUCache
from werkzeug.security import check_password_hash

from changegate.database import end_turn
from changegate.failure_limit import Guess


class VerifiedPasswords:
    """A cache of verified passwords, so that the slow password hash is not computed for each request.

    The key is the stored hash, so a changed password is not found. The value is a hash of the password with a secret of
    this process; passwords are not kept. Whether the user is active and not locked is read from the database for each
    request.
    """

    def __init__(self, size: int = 1024) -> None:
        self._key = secrets.token_bytes(32)
        self._seen = LRUCache[str, bytes](size)
        # Never held while a hash is computed: at worst, two threads compute the same one.
        self._lock = threading.Lock()

    def is_right(self, _guess: Guess, stored: str, password: str) -> bool:
        """Return whether the password matches the stored hash, and cache it if so."""
        with self._lock:
            remembered = self._seen.get(stored)
        if remembered is not None and hmac.compare_digest(remembered, self._digest(stored, password)):
            return True
        # The hash takes tens of milliseconds and releases the interpreter, so other requests can run.
        end_turn()
        if not check_password_hash(stored, password):
            return False
        with self._lock:
            self._seen[stored] = self._digest(stored, password)
        return True

    def _digest(self, stored: str, password: str) -> bytes:
        text = f"{stored}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()
