"""What a connection test found, ready to be shown."""

from dataclasses import dataclass

from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.services.keys.key_set import IgnoredKey
from changegate.services.keys.key_store import key_store
from changegate.services.keys.signing_key import SigningKey


@dataclass(frozen=True, slots=True)
class KeySetReport:
    """The keys behind a JWKS URL, or the one sentence that says why there are none."""

    url: str
    keys: tuple[SigningKey, ...] = ()
    ignored: tuple[IgnoredKey, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None


def probe_key_set(url: str) -> KeySetReport:
    """Fetch the key set of a URL as an exchange would, and keep nothing of it."""
    if not url:
        return KeySetReport(url, error="Fill in the JWKS URL first.")
    try:
        fetched = key_store().probe(url)
    except (JwksFetchFailed, JwksUnusable) as problem:
        return KeySetReport(url, error=problem.message)
    return KeySetReport(url, fetched.key_set.keys, fetched.key_set.ignored, fetched.document.warnings)
