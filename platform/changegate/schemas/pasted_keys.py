"""Checks against pasting the wrong key: a private key, or a public key in place of a secret."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from cryptography.x509 import load_der_x509_certificate
from marshmallow import ValidationError

from changegate.private_keys import LEAKED, holds_private_key, names_jwk

OTHER_TEXTS = (
    (re.compile(r"https?://", re.I), "This is a URL. Choose the key source JWKS URL, and enter it there."),
    (re.compile(r"-----BEGIN CERTIFICATE-"), "This is a certificate. Choose the key source Certificates."),
    (
        re.compile(r"-----BEGIN "),
        "This is PEM. A key set is JSON: paste the key in the quick setup, which converts it, or convert it to a JWK.",
    ),
    (
        re.compile(r"(?:Bearer\s+)?eyJ[\w-]*\.", re.I | re.A),
        "This is a token. Enter the provider's keys; to see whether they fit the token, use Try a token.",
    ),
)
NOT_A_KEY_SET = {
    "jwks_uri": "This is a discovery document. Choose the key source JWKS URL, and enter its jwks_uri there.",
    "kty": 'This is a single key. Put it into a key set: {"keys": [...]}.',
}
CUT_OFF = "The key set is cut off or damaged at character {}. Copy all of it, from the first brace to the last."
PUBLIC = "This is a public key or a certificate. A shared key must be secret."
_OPENSSH = re.compile(r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) +AAAA")


def refuse_private_key(text: str) -> None:
    """Refuse a private key in PEM or as a JWK; the message does not contain it."""
    if holds_private_key(text):
        raise ValidationError(LEAKED)


def require_key_set(text: str) -> None:
    """Refuse other text than a key set by its name; the keys in it are checked later."""
    refuse_private_key(text)
    refusal = next((message for pattern, message in OTHER_TEXTS if pattern.match(text)), None)
    if refusal is None and text.startswith("{"):
        refusal = _fault_of_json(text)
    if refusal is not None:
        raise ValidationError(refusal)


def _fault_of_json(text: str) -> str | None:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        return CUT_OFF.format(problem.pos + 1)
    except (ValueError, RecursionError):
        # Such as an integer of too many digits; the parser of key sets reports it.
        return None
    known = (message for name, message in NOT_A_KEY_SET.items() if name in document and "keys" not in document)
    return next(known, None)


def refuse_what_is_no_secret(text: str) -> None:
    """Refuse text that looks like a public key in one of the usual formats."""
    refuse_private_key(text)
    if "-BEGIN " in text or "- BEGIN " in text or _OPENSSH.search(text):
        raise ValidationError(PUBLIC)
    for form in _forms(text):
        _refuse_der(form)
        inner = form.decode("utf-8", "replace")
        refuse_private_key(inner)
        if names_jwk(inner) or "-BEGIN " in inner:
            raise ValidationError(PUBLIC)


def _forms(text: str) -> Iterator[bytes]:
    """Yield a text as bytes: encoded, and decoded if it is base64 or hex."""
    yield text.encode("utf-8", "surrogatepass")
    packed = "".join(text.split())
    with suppress(ValueError):
        yield bytes.fromhex(packed)
    with suppress(binascii.Error, ValueError):
        unpadded = packed.rstrip("=").translate(str.maketrans("-_", "+/"))
        yield base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)


def _refuse_der(data: bytes) -> None:
    if not data.startswith(b"\x30"):
        return
    if _loads(load_der_private_key, data, None):
        raise ValidationError(LEAKED)
    if _loads(load_der_public_key, data) or _loads(load_der_x509_certificate, data):
        raise ValidationError(PUBLIC)


def _loads(load: object, *arguments: object) -> bool:
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        return callable(load) and load(*arguments) is not None
    return False
