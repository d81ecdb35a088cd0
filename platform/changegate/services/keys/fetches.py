"""Fetches from identity providers, one after another on the calling thread, which must be a fetch thread."""

import time

from changegate.services.keys.discovery import Discovered, discover, discover_at, read_metadata
from changegate.services.keys.jwks_fetch import FetchedDocument, FetchPolicy, Form, fetch_jwks, latest_end
from changegate.services.keys.key_renewal import FetchedKeySet
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.url_policy import admit_url


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

    def read_metadata(self, issuer: str) -> dict[str, object]:
        """Fetch an issuer's metadata and return all of its members; raises `JwksFetchFailed`."""
        return read_metadata(issuer, self._policy, self._deadline)[1]

    def require_url(self, url: str) -> None:
        """Check a URL under the rules for all fetches; raises `JwksFetchFailed`."""
        admit_url(url, self._policy)

    def send(self, url: str, form: Form) -> FetchedDocument:
        """Send a form by POST and return the answer; raises `JwksFetchFailed`."""
        return fetch_jwks(url, self._policy, deadline=self._deadline, form=form)

    def fetch_document(self, url: str) -> FetchedDocument:
        """Fetch the document at a URL, whatever it contains; raises `JwksFetchFailed`."""
        return fetch_jwks(url, self._policy, deadline=self._deadline)
