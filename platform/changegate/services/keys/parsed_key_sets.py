"""Parsed key sets in this process: a copy of what the database holds, never the only one."""

import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from changegate.services.keys.verifying_keys import VerifyingKeys

CAPACITY = 256
Keys = TypeVar("Keys", bound=VerifyingKeys[Any])


class ParsedKeySets(Generic[Keys]):
    """The most recently used key sets, by integration and document digest.

    The integration is part of the key, so that no two ever share a key set, even with equal documents.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._sets: OrderedDict[tuple[str, str], Keys] = OrderedDict()

    def find(self, entity_id: str, document_sha256: str) -> Keys | None:
        """Return the parsed key set, if it is here."""
        key = (entity_id, document_sha256)
        with self._lock:
            found = self._sets.get(key)
            if found is not None:
                self._sets.move_to_end(key)
            return found

    def keep(self, entity_id: str, document_sha256: str, key_set: Keys) -> None:
        """Keep a key set and drop the one that was not used for longest."""
        with self._lock:
            self._sets[entity_id, document_sha256] = key_set
            if len(self._sets) > self._capacity:
                self._sets.popitem(last=False)
