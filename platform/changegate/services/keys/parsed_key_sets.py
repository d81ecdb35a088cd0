"""The cache of parsed key sets in this process; the database holds the documents."""

import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from changegate.services.keys.verifying_keys import VerifyingKeys

CAPACITY = 256
Keys = TypeVar("Keys", bound=VerifyingKeys[Any])


class ParsedKeySets(Generic[Keys]):
    """The most recently used key sets, by integration and document digest; safe for use by several threads.

    A changed document has another digest, so that no entry is ever stale. The integration is part of the key, so that
    two integrations never share a key set, even with equal documents.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._sets: OrderedDict[tuple[str, str], Keys] = OrderedDict()

    def find(self, entity_id: str, document_sha256: str) -> Keys | None:
        """Return the parsed key set, or None."""
        key = (entity_id, document_sha256)
        with self._lock:
            key_set = self._sets.get(key)
            if key_set is not None:
                self._sets.move_to_end(key)
            return key_set

    def keep(self, entity_id: str, document_sha256: str, key_set: Keys) -> None:
        """Store a key set, and drop the least recently used one if the cache is full."""
        with self._lock:
            self._sets[entity_id, document_sha256] = key_set
            if len(self._sets) > self._capacity:
                self._sets.popitem(last=False)
