"""Fetches from identity providers, one after another on the calling thread, which must be a fetch thread."""

import time

from changegate.services.keys.discovery import Discovered, discover, discover_at
from changegate.services.keys.jwks_fetch import FetchedDocument, FetchPolicy, fetch_jwks, latest_end
from changegate.services.keys.key_renewal import FetchedKeySet
from changegate.services.keys.key_set import KeySet


class Fetches:
    """The fetches of a search: together they may take as long as one fetch (`jwks_fetch.TOTAL_SECONDS`)."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._deadline = latest_end()

    @property
    def is_over(self) -> bool:
        """Return whether the time for the search has passed."""
        return time.monotonic() >= self._deadline

    def probe(self, url: str) -> FetchedKeySet:
        """Fetch and parse a key set without storing it; raises `JwksFetchFailed` or `JwksUnusable`."""
        document = self.fetch_document(url)
        return FetchedKeySet(KeySet.parse(document.body), document)

    def discover(self, issuer: str) -> Discovered:
        """Fetch an issuer's metadata; raises `JwksFetchFailed`."""
        return discover(issuer, self._policy, self._deadline)

    def discover_at(self, document_url: str) -> Discovered:
        """Fetch the metadata at a URL, which its issuer must publish there; raises `JwksFetchFailed`."""
        return discover_at(document_url, self._policy, self._deadline)

    def fetch_document(self, url: str) -> FetchedDocument:
        """Fetch the document at a URL, whatever it contains; raises `JwksFetchFailed`."""
        return fetch_jwks(url, self._policy, deadline=self._deadline)
