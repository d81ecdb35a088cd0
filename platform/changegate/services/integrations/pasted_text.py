"""Classification of text that an administrator pastes to set up an integration, without any fetch.

Messages never contain the text: it may be a token, or a secret from another window.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.private_keys import LEAKED, holds_private_key
from changegate.services.keys.discovery import is_document_url
from changegate.services.keys.strict_json import parse_json_strictly

MAX_PASTED_LENGTH = 100_000

URL, DISCOVERY_URL, HOST = "url", "discovery_url", "host"
DISCOVERY_DOCUMENT, KEY_SET, PUBLIC_KEY, CERTIFICATE = "discovery_document", "key_set", "public_key", "certificate"
TOKEN, PRIVATE_KEY, UNKNOWN = "token", "private_key", "unknown"

EXPECTED = "Paste a JWKS URL, an issuer, a discovery URL, a key set, a public key in PEM, or a token."
# Members of the answers in which providers hand out tokens: RFC 6749 §5.1, OpenID Connect Core §3.1.3.3, GitHub, Vault.
_TOKEN_MEMBERS = ("id_token", "access_token", "value", "token", "assertion")
_PREFIX = re.compile(r"(?:authorization\s*:\s*)?bearer\s+", re.IGNORECASE)
_COMPACT = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_=-]*)+")
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?(?:/[!-~]*)?")
_QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}<>"


@dataclass(frozen=True, slots=True, repr=False)
class Pasted:
    """The kind of a text, and the part of it that matters; `problem` is set if nothing can be done with it."""

    kind: str
    text: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def classify(text: str) -> Pasted:
    """Return what a text is; raises nothing, however malformed it is."""
    if len(text) > MAX_PASTED_LENGTH:
        return _unknown(f"The text is longer than {MAX_PASTED_LENGTH} characters. {EXPECTED}")
    if holds_private_key(text):
        return Pasted(PRIVATE_KEY, problem=LEAKED)
    tidied = tidy(text)
    if not tidied:
        return _unknown(EXPECTED)
    if tidied[0] in "{[":
        return _classify_json(tidied)
    if "-----BEGIN " in tidied:
        return _classify_pem(tidied)
    return _classify_line(tidied)


def tidy(text: str) -> str:
    """Return the text without the quotes, prefix, and blanks that come along when it is copied."""
    tidied = text.strip("\ufeff \t\r\n").strip(_QUOTES).strip()
    return _PREFIX.sub("", tidied, count=1).strip(_QUOTES).strip() if _PREFIX.match(tidied) else tidied


def _classify_line(text: str) -> Pasted:
    # Terminals and mail programs break long lines, also within a token.
    joined = "".join(text.split())
    if _COMPACT.fullmatch(joined):
        return _classify_token(joined)
    if joined != text:
        return _unknown(f"The text has blanks within it. {EXPECTED}")
    if "://" in text:
        return Pasted(DISCOVERY_URL if is_document_url(text) else URL, text)
    return Pasted(HOST, text) if _HOST.fullmatch(text) else _unknown(f"The text was not recognized. {EXPECTED}")


def _classify_token(text: str) -> Pasted:
    count = text.count(".") + 1
    if count == 5:
        return _unknown("This is an encrypted token (JWE). Paste a signed one, which has three segments.")
    if count != 3:
        return _unknown(f"This looks like a token, but it has {count} segments in place of three. Copy all of it.")
    return Pasted(TOKEN, text)


def _classify_json(text: str) -> Pasted:
    try:
        document = parse_json_strictly(text.encode("utf-8", "surrogatepass"), max_depth=MAX_JSON_DEPTH)
    except ValueError as problem:
        return _unknown(f"This begins like JSON, but it cannot be read: {problem}.")
    if not isinstance(document, dict):
        return _unknown(f"This is a JSON list. {EXPECTED}")
    if isinstance(document.get("keys"), list):
        return Pasted(KEY_SET, text)
    if isinstance(document.get("jwks_uri"), str):
        return Pasted(DISCOVERY_DOCUMENT, document=document)
    if "kty" in document:
        return Pasted(KEY_SET, '{"keys": [' + text + "]}")
    tokens = (document[name] for name in _TOKEN_MEMBERS if isinstance(document.get(name), str))
    token = next((tidy(token) for token in tokens if _COMPACT.fullmatch(tidy(token))), None)
    if token is not None:
        return _classify_token(token)
    return _unknown("This JSON object is neither a key set (keys) nor a discovery document (jwks_uri).")


def _classify_pem(text: str) -> Pasted:
    if "-----BEGIN CERTIFICATE-----" in text:
        return Pasted(CERTIFICATE, text)
    if "PUBLIC KEY-" in text:
        return Pasted(PUBLIC_KEY, text)
    return _unknown("This is PEM, but neither a public key nor a certificate.")


def _unknown(problem: str) -> Pasted:
    return Pasted(UNKNOWN, problem=problem)
