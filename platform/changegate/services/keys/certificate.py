"""X.509 certificates as keys: only the public key and the validity period count; no chain confers trust."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509 import Certificate, Name, load_der_x509_certificate, load_pem_x509_certificates
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from changegate.printable import printable
from changegate.services.keys.public_key import UnusableJwkError
from changegate.services.keys.signing_key import SigningKey
from changegate.services.keys.verifying_keys import Validity

MAX_DISTINGUISHED_NAME_LENGTH = 1000
_BEGIN = "-----BEGIN "
_OTHER_THINGS = {
    "PUBLIC KEY-": "This is a bare public key. Give the certificate, or paste a key set.",
    "CERTIFICATE REQUEST-": "This is a request for a certificate. Give the certificate that was issued.",
    "PKCS7-": "This is a bundle. Give the one certificate of the signer in PEM.",
}


class UnusableCertificateError(ValueError):
    """A text is not a certificate, or its key may not verify signatures; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A certificate and its public key, which passed the same checks as a key of a key set."""

    certificate: Certificate
    key: SigningKey

    @classmethod
    def parse(cls, text: str) -> "SigningCertificate":
        """Read one certificate in PEM, or as DER in base64; raises `UnusableCertificateError`."""
        certificate = _load(text)
        try:
            return cls(certificate, SigningKey.from_jwk(_public_jwk(certificate)))
        except UnusableJwkError as problem:
            raise UnusableCertificateError(f"The key of the certificate cannot be used: {problem.reason}.") from None

    @property
    def pem(self) -> str:
        """The certificate alone, in PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> str:
        """The certificate in DER, in base64."""
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole certificate, in hex."""
        return self.certificate.fingerprint(SHA256()).hex()

    @property
    def validity(self) -> Validity:
        """The validity period, from notBefore to notAfter (RFC 5280 §4.1.2.5)."""
        return Validity(self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc)

    @property
    def subject(self) -> str:
        """The distinguished name of the subject, printable."""
        return _shown(self.certificate.subject)

    @property
    def issuer(self) -> str:
        """The distinguished name of the issuer, printable."""
        return _shown(self.certificate.issuer)


def _load(text: str) -> Certificate:
    for marker, sentence in _OTHER_THINGS.items():
        if _BEGIN in text and marker in text:
            raise UnusableCertificateError(sentence)
    try:
        if _BEGIN in text:
            certificates = load_pem_x509_certificates(text.encode())
        else:
            certificates = [load_der_x509_certificate(_der(text))]
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableCertificateError("This is not a certificate in PEM, nor one in DER as base64.") from None
    # A chain is refused, because its issuer would seem to be trusted; only the signer's own key is.
    if len(certificates) != 1:
        raise UnusableCertificateError(
            f"These are {len(certificates)} certificates. Give the signer's own, without its chain."
        )
    return certificates[0]


def _der(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


def read_public_key(text: str) -> dict[str, Any]:
    """Return a bare public key in PEM as a JWK; raises `UnusableJwkError`."""
    try:
        key = load_pem_public_key(text.encode("utf-8", "surrogatepass"))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableJwkError("it is not a public key in PEM") from None
    return _jwk_of(key)


def _public_jwk(certificate: Certificate) -> dict[str, Any]:
    """Return the public key as a JWK, so that it passes the same checks as a key of a key set."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableJwkError("its kind is not supported") from None
    return _jwk_of(key)


def _jwk_of(key: object) -> dict[str, Any]:
    if isinstance(key, RSAPublicKey):
        return dict(RSAAlgorithm.to_jwk(key, as_dict=True))
    if isinstance(key, Ed25519PublicKey):
        return dict(OKPAlgorithm.to_jwk(key, as_dict=True))
    if isinstance(key, EllipticCurvePublicKey):
        return _ec_jwk(key)
    raise UnusableJwkError("its kind is not supported")


def _ec_jwk(key: EllipticCurvePublicKey) -> dict[str, Any]:
    try:
        return dict(ECAlgorithm.to_jwk(key, as_dict=True))
    except InvalidKeyError:
        raise UnusableJwkError(f"the curve {key.curve.name} is not supported") from None


def _shown(name: Name) -> str:
    try:
        text = name.rfc4514_string()
    except ValueError:
        text = "unreadable"
    return printable(text, MAX_DISTINGUISHED_NAME_LENGTH)
