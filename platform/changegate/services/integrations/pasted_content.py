"""Reading of pasted text that is no URL: key sets, keys, certificates, and tokens. Nothing is fetched."""

import json

from changegate.errors import JwksUnusable
from changegate.oauth_errors import AssertionRefused
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.report import Report
from changegate.services.integrations import pasted_text
from changegate.services.integrations.pasted_text import Pasted
from changegate.services.integrations.provider_search import UNKNOWN_ISSUER, Findings
from changegate.services.keys.certificate import SigningCertificate, UnusableCertificateError, read_public_key
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.public_key import UnusableJwkError


def read_key_set(pasted: Pasted) -> Findings:
    """Return the keys of a pasted key set."""
    return _with_keys(_keys(pasted_text.KEY_SET, "This is a key set."), pasted.text)


def read_key(pasted: Pasted) -> Findings:
    """Return a pasted public key."""
    found = _keys(pasted_text.PUBLIC_KEY, "This is a public key.")
    try:
        return _with_keys(found, json.dumps({"keys": [read_public_key(pasted.text)]}))
    except UnusableJwkError as problem:
        found.problems = [f"The key cannot be used: {problem.reason}."]
        return found


def read_certificate(pasted: Pasted) -> Findings:
    """Return the key of a pasted certificate."""
    found = _keys(pasted_text.CERTIFICATE, "This is a certificate.")
    try:
        certificate = SigningCertificate.parse(pasted.text)
    except UnusableCertificateError as problem:
        found.problems = [str(problem)]
        return found
    found.sentence = f"This is the certificate of {certificate.subject}, valid {certificate.validity}."
    verifier_map = {"name": "Certificate", "certificate": certificate.pem}
    found.key_fields = {"key_source": "certificates", "verifier_maps": [verifier_map]}
    found.key_set = KeySet((certificate.key,), (), is_kid_optional=True)
    return found


def read_token(pasted: Pasted) -> Findings:
    """Return the claims of a pasted token, and its issuer, whose keys are not looked for yet."""
    found = Findings(pasted_text.TOKEN, "This is a token.")
    try:
        assertion = UnverifiedAssertion.parse(pasted.text)
    except AssertionRefused as refusal:
        found.problems.append(f"The token cannot be read: {explain(refusal.report)}")
        return found
    if not assertion.unverified_claims:
        found.problems.append("The token cannot be read: its payload is not a JSON object.")
        return found
    found.assertion = assertion
    if not assertion.unverified_issuer:
        found.problems.append("The token names no issuer (iss).")
        return found
    found.issuer = assertion.unverified_issuer
    found.sentence = f"This is a token that names the issuer {printable(found.issuer, 255)}."
    return found


def explain(report: object) -> str:
    """Return why a token failed a rule, as the rest of a sentence."""
    results = report.results if isinstance(report, Report) else []
    failed = next((result for result in results if not result.passed), None)
    if failed is None:
        return "it is malformed."
    return failed.hint or f"{failed.rule}: expected {failed.expected}, received {failed.received}."


def _keys(kind: str, sentence: str) -> Findings:
    return Findings(kind, sentence, problems=[UNKNOWN_ISSUER])


def _with_keys(found: Findings, document: str) -> Findings:
    found.key_fields = {"key_source": "jwks", "jwks": document}
    try:
        found.key_set = KeySet.parse(document.encode("utf-8", "surrogatepass"))
    except JwksUnusable as problem:
        found.key_error = problem.message
    return found
