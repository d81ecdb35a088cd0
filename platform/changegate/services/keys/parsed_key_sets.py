"""The cache of parsed key sets in this process; the database holds the documents."""

import threading
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from changegate.services.keys.verifying_keys import VerifyingKeys

KEY_SETS_CACHED = 256
Keys = TypeVar("Keys", bound=VerifyingKeys[Any])


class ParsedKeySets(Generic[Keys]):
    """The most recently used key sets, by integration and document digest; safe for use by several threads.

    A changed document has another digest, so that no entry is ever stale. The integration is part of the key, so that
    two integrations never share a key set, even with equal documents.
    """

    def __init__(self, capacity: int = KEY_SETS_CACHED) -> None:
        self._lock = threading.Lock()
        self._sets = LRUCache[tuple[str, str], Keys](capacity)

    def find(self, entity_id: str, document_sha256: str) -> Keys | None:
        """Return the parsed key set, or None."""
        with self._lock:
            return self._sets.get((entity_id, document_sha256))

    def keep(self, entity_id: str, document_sha256: str, key_set: Keys) -> None:
        """Store a key set, and drop the least recently used one if the cache is full."""
        with self._lock:
            self._sets[entity_id, document_sha256] = key_set
