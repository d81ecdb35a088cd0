"""Recognition of pasted text: what it is, what follows for an integration, and a test of the keys.

    URL ──────────> key set? ── yes ──> discovery document that names this JWKS URL ──> issuer
                       └─ no ──> issuer with a discovery document ──> JWKS URL
    token ────────> issuer ──> discovery document ──> JWKS URL ──> keys ──> is the token signed by one of them?
    document, key set, PEM ──> taken as it is

    request thread    classifies, reads ──> starts the search, is postponed ··· collects its result ──> concludes
    fetch thread                            fetches one document after another ───┘

Every fetch goes through the key store, and thus through its guard. A token is read in memory: the result has its claims
and never the token, and the fetch thread gets only its issuer. The values are proposals: nothing is trusted until an
administrator saves an integration.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.extensions import now
from changegate.models.integration_choices import DEFAULT_ALGORITHMS
from changegate.postponed import forbid_postponing
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.claim_checks import seconds_of
from changegate.services.integrations.pasted_content import (
    explain,
    read_certificate,
    read_key,
    read_key_set,
    read_token,
)
from changegate.services.integrations.pasted_text import CERTIFICATE, KEY_SET, PUBLIC_KEY, TOKEN, Pasted, classify
from changegate.services.integrations.provider_catalog import KnownProvider, ProviderCatalog
from changegate.services.integrations.provider_search import UNKNOWN_ISSUER, ConnectionTest, Findings, Search
from changegate.services.keys.fetches import Fetches
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.key_store import KeyStore
from changegate.services.keys.url_policy import DEFAULT_PORTS

USUAL_LIFETIME, LONGEST_LIFETIME = 3600, 86_400
SIGNED = "signed"
NOT_VERIFIED = "The signature cannot be verified with these keys, since the pasted token is not kept."
READERS = {KEY_SET: read_key_set, PUBLIC_KEY: read_key, CERTIFICATE: read_certificate}
KEY_FIELDS = frozenset({"key_source", "jwks_url", "jwks", "verifier_maps", "algorithms"})


@dataclass(frozen=True, slots=True)
class KeyTest:
    """The result of fetching or reading the keys; `error` is a sentence if no keys could be read."""

    usable: int = 0
    algorithms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Recognition:
    """What a text is, and what follows.

    `fields` are fields of the integration schema. `claims` are those of a token, whose signature is verified only if
    `signature` is `SIGNED`; otherwise it is a sentence. `problems` are sentences about what an administrator must look
    at. A recognition without a way to the keys is of no use (`is_usable`).
    """

    kind: str
    sentence: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    provider: str = ""
    audiences: tuple[str, ...] = ()
    subject: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    keys: KeyTest | None = None
    signature: str = ""
    problems: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Return whether an integration can be set up from this; a token leads further without keys, too."""
        return bool(self.claims) or self.has_keys

    @property
    def has_keys(self) -> bool:
        """Return whether there are keys or a JWKS URL, whether they can be used or not."""
        return any(self.fields.get(name) for name in ("jwks_url", "jwks", "verifier_maps"))

    def with_keys_of(self, other: "Recognition", issuer: str, provider: KnownProvider | None) -> "Recognition":
        """Return this recognition with the keys of another one, which must be usable.

        `issuer` and its `provider` are those of this recognition, or those that an administrator has entered.
        """
        kept = {name: value for name, value in self.fields.items() if name not in KEY_FIELDS}
        taken = {name: value for name, value in other.fields.items() if name in KEY_FIELDS - {"algorithms"}}
        problems = [problem for problem in other.problems if not issuer or problem != UNKNOWN_ISSUER]
        named = other.fields.get("issuer", issuer)
        if issuer and named != issuer:
            problems.append(f"These keys are those of another issuer, {printable(named, 255)}.")
        return replace(
            self,
            sentence=f"The issuer is {printable(issuer, 255)}. {other.sentence}" if issuer else other.sentence,
            fields=kept | taken | algorithms_for(other.keys, provider),
            keys=other.keys,
            signature=NOT_VERIFIED if self.claims else "",
            problems=tuple(problems),
        )

    def at_issuer(self, issuer: str, provider: KnownProvider | None) -> "Recognition":
        """Return this recognition, which names no issuer, for the issuer that an administrator has entered."""
        kept = {name: value for name, value in self.fields.items() if name != "algorithms"}
        problems = tuple(problem for problem in self.problems if not issuer or problem != UNKNOWN_ISSUER)
        return replace(self, fields=kept | algorithms_for(self.keys, provider), problems=problems)

    def as_values(self) -> dict[str, Any]:
        """Return plain values for JSON; `of_values` is the inverse."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> "Recognition":
        """Return a recognition from its plain values."""
        keys = KeyTest(**_with_tuples(values["keys"])) if values["keys"] else None
        return cls(**{**_with_tuples(values), "keys": keys})


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    # JSON has no tuples.
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def recognize_pasted(text: str, key_store: KeyStore, catalog: ProviderCatalog) -> Recognition:
    """Tell what a text is, fetch what it leads to, and test the keys. Raises nothing for bad input.

    Call it without an open transaction: it may fetch several documents, one after another.
    """
    pasted = classify(text)
    if pasted.problem is not None:
        return Recognition(pasted.kind, pasted.problem, problems=(pasted.problem,))
    try:
        found = _find(pasted, text, key_store, catalog)
    except JwksFetchFailed as problem:
        # No thread is free for the search.
        return Recognition(pasted.kind, problem.message, problems=(problem.message,))
    return _conclude(found, catalog)


def _find(pasted: Pasted, text: str, key_store: KeyStore, catalog: ProviderCatalog) -> Findings:
    if pasted.kind in READERS:
        return READERS[pasted.kind](pasted)
    if pasted.kind == TOKEN:
        return _find_keys_of(read_token(pasted), key_store, catalog)
    return _searched(key_store, text, lambda fetches: Search(fetches, catalog).look_at(pasted))


def _find_keys_of(token: Findings, key_store: KeyStore, catalog: ProviderCatalog) -> Findings:
    issuer = token.issuer
    if not issuer:
        return token
    keys = _searched(key_store, ("keys of", issuer), lambda fetches: Search(fetches, catalog).find_keys(issuer))
    # The document may name the issuer with another final slash. Assertions are compared with what the token has.
    sentence = token.sentence + keys.sentence
    return replace(keys, kind=token.kind, sentence=sentence, issuer=issuer, assertion=token.assertion)


def _searched(key_store: KeyStore, name: Hashable, look: Callable[[Fetches], Findings]) -> Findings:
    found = key_store.search(name, look)
    # A request gets the result once. If another fetch postponed it, its next run would search again.
    forbid_postponing()
    return found


def _conclude(found: Findings, catalog: ProviderCatalog) -> Recognition:
    provider = catalog.find_by_issuer(found.issuer) if found.issuer else None
    fields = {**found.key_fields, **({"issuer": found.issuer} if found.issuer else {})}
    if provider is not None:
        fields["preset"] = provider.name
    keys = _key_test(found)
    signed_with = found.assertion.unverified_algorithm if found.assertion else None
    fields |= algorithms_for(keys, provider, signed_with)
    problems = [*found.problems]
    if found.key_set is None and (advice := catalog.find_keys_advice(found.issuer)):
        problems.append(advice)
    audience_claim = provider.audience_claim if provider else "aud"
    claims: Mapping[str, Any] = {}
    if found.assertion is not None:
        claims = dict(found.assertion.unverified_claims)
        fields |= _rules_of_token(found.assertion, provider)
    return Recognition(
        kind=found.kind,
        sentence=found.sentence,
        fields=fields,
        provider=provider.label if provider else "",
        audiences=found.assertion.unverified_audience_by(audience_claim) if found.assertion else (),
        subject=(found.assertion.unverified_subject or "") if found.assertion else "",
        claims=claims,
        keys=keys,
        signature=_check_signature(found) if found.assertion else "",
        problems=tuple(dict.fromkeys(problems)),
    )


def _key_test(found: Findings) -> KeyTest | None:
    if found.key_set is not None:
        return test_of(found.key_set, found.key_warnings)
    return KeyTest(error=found.key_error) if found.key_error else None


def test_of(key_set: KeySet, warnings: Sequence[str] = ()) -> KeyTest:
    """Return the test of keys that can be used."""
    algorithms = sorted({name for key in key_set.keys for name in key.algorithms})
    return KeyTest(len(key_set.keys), tuple(algorithms), tuple(warnings))


def test_connection(url: str, key_store: KeyStore, catalog: ProviderCatalog) -> ConnectionTest:
    """Fetch a key set as an exchange would, without storing it; if it is elsewhere, return its address."""
    try:
        return key_store.search(("test", url), lambda fetches: Search(fetches, catalog).test(url))
    except JwksFetchFailed as problem:
        # No thread is free for the search.
        return ConnectionTest(error=problem.message)


def test_url(jwks_url: str, key_store: KeyStore) -> KeyTest:
    """Fetch a key set as an exchange would, without storing it, and return the result."""
    try:
        fetched = key_store.probe(jwks_url)
    except (JwksFetchFailed, JwksUnusable) as problem:
        return KeyTest(error=problem.message)
    return test_of(fetched.key_set, fetched.document.warnings)


def algorithms_for(
    keys: KeyTest | None, provider: KnownProvider | None, signed_with: str | None = None
) -> dict[str, Any]:
    """Return the algorithms to allow if those of the preset, or the usual ones, would refuse every token."""
    if keys is None or keys.error:
        return {}
    usual = list(provider.algorithms if provider else DEFAULT_ALGORITHMS)
    of_keys = keys.algorithms
    chosen = usual if set(of_keys).intersection(usual) else list(of_keys)
    if signed_with in of_keys and signed_with not in chosen:
        chosen = [*chosen, signed_with]
    return {} if chosen == usual else {"algorithms": chosen}


def _rules_of_token(assertion: UnverifiedAssertion, provider: KnownProvider | None) -> dict[str, Any]:
    """Return the fields that this token needs in order to be accepted, where the usual values would refuse it."""
    claims = assertion.unverified_claims
    rules: dict[str, Any] = {}
    typ = assertion.unverified_typ
    if typ not in (None, "jwt") and not (provider and provider.required_typ):
        rules["required_typ"] = typ
    if provider is None and "jti" not in claims:
        # Such a token is still accepted once only: it is recognized by its signed text.
        rules["replay_policy"] = "once-if-present"
    usual = provider.max_assertion_lifetime_seconds if provider else USUAL_LIFETIME
    lifetime = _lifetime(claims)
    if usual < lifetime <= LONGEST_LIFETIME:
        rules["max_assertion_lifetime_seconds"] = lifetime
    return rules


def _lifetime(claims: Mapping[str, Any]) -> int:
    begin, end = seconds_of(claims, "iat"), seconds_of(claims, "exp")
    return int(end - begin) if begin is not None and end is not None else 0


def _check_signature(found: Findings) -> str:
    if found.assertion is None or found.key_set is None:
        return "The signature was not verified, since there are no keys."
    report = found.assertion.find_signature_fault(found.key_set, now=now())
    return SIGNED if report is None else f"The signature could not be verified: {explain(report)}"


def host_of_issuer(issuer: str) -> str:
    """Return the host of an issuer as an administrator should see it, with a port that is not the default."""
    try:
        parts = urlsplit(issuer)
        port = parts.port
    except ValueError:
        return ""
    host = printable(parts.hostname or "")
    return host if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"
