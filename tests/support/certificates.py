"""Certificates as signers have them: self-signed, in PEM."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support.forge import NOW, PrivateKey, rsa_key


def certificate(
    key: PrivateKey | None = None,
    *,
    begins_at: datetime | None = None,
    ends_at: datetime | None = None,
    name: str = "signer.example.com",
) -> x509.Certificate:
    """Return a certificate of a key, good for a day before and a year after now unless told otherwise."""
    key = key or rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins_at = begins_at or NOW - timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(ends_at or begins_at + timedelta(days=366))
    )
    return built.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(made: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return made.public_bytes(Encoding.PEM).decode()
