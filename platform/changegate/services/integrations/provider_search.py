"""The search for what a URL or an issuer leads to: the discovery document, and the keys.

It runs on a fetch thread (`KeyStore.search`), without a context of the application.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.integrations import pasted_text
from changegate.services.integrations.pasted_text import Pasted
from changegate.services.integrations.provider_catalog import ProviderCatalog
from changegate.services.keys.discovery import Discovered, is_document_url
from changegate.services.keys.fetches import Fetches
from changegate.services.keys.jwks_answer import AnswerRefused
from changegate.services.keys.key_renewal import FetchedKeySet
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.strict_json import parse_json_strictly

ISSUER, JWKS_URL = "issuer", "jwks_url"
UNKNOWN_ISSUER = "The issuer is unknown. Enter the iss of the provider's tokens."
# Places in which the discovery document beside a JWKS URL is looked for.
MOST_PLACES = 8
OPENID = "/.well-known/openid-configuration"


@dataclass(slots=True, repr=False)
class Findings:
    """A recognition in the making."""

    kind: str
    sentence: str = ""
    issuer: str = ""
    key_fields: dict[str, Any] = field(default_factory=dict)
    key_set: KeySet | None = None
    key_error: str | None = None
    key_warnings: tuple[str, ...] = ()
    assertion: UnverifiedAssertion | None = None
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionTest:
    """The key set of a URL, or the reason of a failure; `jwks_url` and `issuer` may then show where the keys are."""

    fetched: FetchedKeySet | None = None
    error: str = ""
    jwks_url: str = ""
    issuer: str = ""


class Search:
    """The search from one pasted text or issuer."""

    def __init__(self, fetches: Fetches, catalog: ProviderCatalog) -> None:
        self._fetches = fetches
        self._catalog = catalog

    def look_at(self, pasted: Pasted) -> Findings:
        """Return what a URL, a host, or a discovery document leads to."""
        looks: Mapping[str, Callable[[Pasted], Findings]] = {
            pasted_text.URL: self._url,
            pasted_text.HOST: self._host,
            pasted_text.DISCOVERY_URL: self._discovery_url,
            pasted_text.DISCOVERY_DOCUMENT: self._discovery_document,
        }
        return looks[pasted.kind](pasted)

    def find_keys(self, issuer: str) -> Findings:
        """Return the keys of an issuer, and in `sentence` where they are."""
        found = Findings(ISSUER, issuer=issuer)
        self._discover(found)
        return found

    def test(self, url: str) -> ConnectionTest:
        """Fetch a key set; if another document is there, look for the keys that it leads to, and test them."""
        try:
            return ConnectionTest(self._fetches.probe(url))
        except (JwksFetchFailed, JwksUnusable) as problem:
            found = self._look_elsewhere(url) if _is_of_another_document(problem) else None
            if found is None or found.key_set is None:
                return ConnectionTest(error=problem.message)
            return ConnectionTest(None, problem.message, found.key_fields["jwks_url"], found.issuer)

    def _look_elsewhere(self, url: str) -> Findings:
        return self.look_at(Pasted(pasted_text.DISCOVERY_URL if is_document_url(url) else pasted_text.URL, url))

    def _url(self, pasted: Pasted) -> Findings:
        url = pasted.text
        try:
            document = self._fetches.fetch_document(url)
            content = parse_json_strictly(document.body, max_depth=MAX_JSON_DEPTH)
        except JwksFetchFailed as problem:
            return self._unreachable_keys(url, problem.message) or self._issuer(url, problem.message)
        except ValueError:
            return self._issuer(url, None)
        if isinstance(content, dict) and isinstance(content.get("keys"), list):
            return self._jwks_url(url, document.body, document.warnings)
        if isinstance(content, dict) and isinstance(content.get("issuer"), str) and "jwks_uri" in content:
            found = self._issuer(content["issuer"], None)
            found.kind, found.sentence = pasted_text.DISCOVERY_URL, f"This is a discovery document. {found.sentence}"
            return found
        return self._issuer(url, None)

    def _jwks_url(self, url: str, body: bytes, warnings: tuple[str, ...]) -> Findings:
        found = Findings(JWKS_URL, key_fields={"key_source": "jwks_url", "jwks_url": url}, key_warnings=warnings)
        self._read_keys(found, body)
        discovered = self._find_document_of(url)
        if discovered is None and self._name_known_issuer(found, url):
            return found
        if discovered is None:
            found.sentence = "This is a JWKS URL. No discovery document that names it was found beside it."
            found.problems.append(UNKNOWN_ISSUER)
            return found
        found.issuer = discovered.issuer
        found.sentence = f"This is the JWKS URL of the issuer {discovered.issuer} ({discovered.document_url})."
        return found

    def _unreachable_keys(self, url: str, problem: str) -> Findings | None:
        found = Findings(JWKS_URL, key_fields={"key_source": "jwks_url", "jwks_url": url}, key_error=problem)
        return found if self._name_known_issuer(found, url) else None

    def _name_known_issuer(self, found: Findings, url: str) -> bool:
        """Set the issuer of a provider whose documentation names this JWKS URL, and return whether there is one."""
        issuers = self._catalog.list_issuers_of(url)
        known = next((issuer for issuer in issuers if self._catalog.find_jwks_url(issuer) == url), None)
        if known is None:
            return False
        found.issuer = known
        found.sentence = f"This is the JWKS URL that the provider documents for the issuer {known}."
        return True

    def _find_document_of(self, url: str) -> Discovered | None:
        """Return the metadata of the issuer that names this JWKS URL; others at the same host do not count."""
        for place in list(dict.fromkeys(_places(url, self._catalog)))[:MOST_PLACES]:
            if self._fetches.is_over:
                break
            try:
                discovered = self._fetches.discover_at(place)
            except JwksFetchFailed:
                continue
            if discovered.jwks_uri == url:
                return discovered
        return None

    def _host(self, pasted: Pasted) -> Findings:
        found = self._url(Pasted(pasted_text.URL, f"https://{pasted.text}"))
        found.sentence = f"This has no https://, which was added. {found.sentence}"
        return found

    def _issuer(self, issuer: str, first_problem: str | None) -> Findings:
        found = Findings(ISSUER, f"This is the issuer {printable(issuer)}.", issuer=issuer)
        self._discover(found)
        if not found.key_fields:
            found.sentence = "This is a URL, but it leads to no keys."
            if first_problem is not None:
                found.problems.insert(0, first_problem)
        return found

    def _discover(self, found: Findings) -> None:
        """Find the JWKS URL of the issuer, and test the keys."""
        refusal = self._catalog.find_refusal(found.issuer, None)
        if refusal is not None:
            found.problems.append(refusal)
            return
        try:
            discovered = self._discovered(found.issuer)
        except JwksFetchFailed as problem:
            jwks_url = self._catalog.find_jwks_url(found.issuer)
            found.problems.append(problem.message)
            if jwks_url is None:
                return
        else:
            found.issuer, jwks_url = discovered.issuer, discovered.jwks_uri
        found.sentence += f" Its keys are at {jwks_url}."
        self._fetch_keys(found, jwks_url)

    def _discovered(self, issuer: str) -> Discovered:
        try:
            return self._fetches.discover(issuer)
        except JwksFetchFailed:
            # Administrators copy an issuer without its final slash, or add one. The document decides.
            if "?" in issuer or "#" in issuer:
                raise
            try:
                return self._fetches.discover_at(issuer.rstrip("/") + OPENID)
            except JwksFetchFailed:
                pass
            raise

    def _fetch_keys(self, found: Findings, jwks_url: str) -> None:
        found.key_fields = {"key_source": "jwks_url", "jwks_url": jwks_url}
        try:
            fetched = self._fetches.probe(jwks_url)
        except (JwksFetchFailed, JwksUnusable) as problem:
            found.key_error = problem.message
            return
        found.key_set, found.key_warnings = fetched.key_set, fetched.document.warnings

    def _read_keys(self, found: Findings, document: bytes) -> None:
        try:
            found.key_set = KeySet.parse(document)
        except JwksUnusable as problem:
            found.key_error = problem.message

    def _discovery_url(self, pasted: Pasted) -> Findings:
        found = Findings(pasted_text.DISCOVERY_URL)
        try:
            discovered = self._fetches.discover_at(pasted.text)
        except JwksFetchFailed as problem:
            found.sentence = "This is the URL of a discovery document, but the document cannot be used."
            found.problems.append(problem.message)
            return found
        found.issuer = discovered.issuer
        found.sentence = (
            f"This is the discovery document of the issuer {discovered.issuer}. Its keys are at {discovered.jwks_uri}."
        )
        self._fetch_keys(found, discovered.jwks_uri)
        return found

    def _discovery_document(self, pasted: Pasted) -> Findings:
        found = Findings(pasted_text.DISCOVERY_DOCUMENT, "This is a discovery document.")
        issuer, jwks_url = pasted.document.get("issuer"), str(pasted.document["jwks_uri"])
        if not isinstance(issuer, str):
            found.problems.append("The document names no issuer.")
            return found
        found.issuer = issuer
        self._discover(found)
        published = found.key_fields.get("jwks_url")
        if published not in (None, jwks_url):
            found.problems.append(
                f"The pasted document names the keys at {printable(jwks_url, 200)}; the issuer itself publishes "
                f"{published}, which is proposed."
            )
        elif published is None:
            found.sentence += f" Its keys are at {printable(jwks_url, 200)}."
            self._fetch_keys(found, jwks_url)
        return found


def _is_of_another_document(problem: Exception) -> bool:
    """Return whether a server has answered a request for keys, but not with keys."""
    return isinstance(problem, JwksUnusable) or (isinstance(problem, AnswerRefused) and problem.http_status < 500)


def _places(jwks_url: str, catalog: ProviderCatalog) -> Iterator[str]:
    """Yield URLs where the discovery document beside a JWKS URL may be: of known providers, then up the path."""
    for issuer in catalog.list_issuers_of(jwks_url):
        yield issuer.rstrip("/") + OPENID
    parts = urlsplit(jwks_url)
    path = parts.path.partition("/.well-known/")[0] if "/.well-known/" in parts.path else parts.path.rpartition("/")[0]
    while True:
        yield f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}{OPENID}"
        if not path:
            return
        path = path.rpartition("/")[0]
