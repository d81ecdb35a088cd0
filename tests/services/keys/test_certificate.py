"""Certificates as keys: what a form accepts, and the reasons for refusals."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from changegate.services.keys.certificate import SigningCertificate, UnusableCertificateError
from changegate.services.keys.key_set import SigningKey
from changegate.services.keys.verifying_keys import Validity
from tests.support.certificates import certificate, pem
from tests.support.forge import NOW, ec_key, ed25519_key, jwk, key_for, rsa_key


def _why(text: str) -> str:
    with pytest.raises(UnusableCertificateError) as refused:
        SigningCertificate.parse(text)
    return str(refused.value)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_the_key_of_a_certificate_is_the_one_a_key_set_would_have(alg: str) -> None:
    made = certificate(key_for(alg))
    published = SigningKey.from_jwk(jwk(key_for(alg)))

    found = SigningCertificate.parse(pem(made))

    assert (found.key.thumbprint, found.key.algorithms) == (published.thumbprint, published.algorithms)
    assert found.fingerprint == made.fingerprint(hashes.SHA256()).hex()
    assert found.validity == Validity(NOW - timedelta(days=1), NOW + timedelta(days=365))
    assert (found.subject, found.issuer) == ("CN=signer.example.com", "CN=signer.example.com")


def test_der_in_base64_and_text_around_pem_are_taken() -> None:
    made = certificate()
    packed = base64.b64encode(made.public_bytes(Encoding.DER)).decode()
    wrapped = "\n".join(packed[at : at + 64] for at in range(0, len(packed), 64))

    forms = [packed, wrapped, f"subject=CN = signer\n{pem(made)}\n", pem(made).replace("\n", "\r\n")]

    assert {SigningCertificate.parse(form).pem for form in forms} == {pem(made)}
    assert SigningCertificate.parse(SigningCertificate.parse(packed).der).pem == pem(made)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a certificate"),
        ("nonsense", "not a certificate"),
        ("\ud800", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\ud800", "not a certificate"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "request for a certificate"),
        ("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----", "bundle"),
    ],
)
def test_a_text_that_is_not_a_certificate_is_refused_with_its_kind(text: str, reason: str) -> None:
    assert reason in _why(text)


def test_a_bare_public_key_and_a_chain_are_refused() -> None:
    bare = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    assert "bare public key" in _why(bare)
    assert "2 certificates" in _why(pem(certificate()) + pem(certificate(ec_key())))


def test_a_key_too_weak_or_of_a_kind_that_is_not_supported_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    assert "1024 bits" in _why(pem(certificate(weak)))
    for curve in (ec.SECP256K1(), ec.BrainpoolP256R1()):
        assert f"the curve {curve.name} is not supported" in _why(pem(certificate(ec.generate_private_key(curve))))
    unusual = dsa.DSAParameterNumbers(2**1023 + 1155, 2**159 + 7, 3)
    public = dsa.DSAPublicNumbers(5, unusual).public_key()
    assert "kind is not supported" in _why(_signed_for(public))


def _signed_for(public: dsa.DSAPublicKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public).serial_number(1)
    built = built.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    return pem(built.sign(ed25519_key(), None))


def test_names_are_shown_without_characters_that_would_disguise_them() -> None:
    found = SigningCertificate.parse(pem(certificate(name="signer\u202egro")))

    assert found.subject == "CN=signer\N{REPLACEMENT CHARACTER}gro"


@pytest.mark.parametrize(
    ("seconds", "fault"),
    [(-1, "certificate_not_yet_valid"), (0, None), (60, None), (61, "certificate_expired")],
)
def test_both_ends_of_the_validity_belong_to_it(seconds: int, fault: str | None) -> None:
    begins_at = datetime(2026, 1, 1, tzinfo=UTC)
    validity = Validity(begins_at, begins_at + timedelta(seconds=60))

    assert validity.fault(begins_at + timedelta(seconds=seconds)) == fault
    assert str(validity) == "2026-01-01 00:00 to 2026-01-01 00:01 UTC"
