"""The local certificate authority."""

from pathlib import Path

import pytest
from cryptography import x509

from changegate.cli.tls import ensure_certificate


def _names(folder: Path, host: str) -> set[str]:
    chain = ensure_certificate(folder, host).chain.read_bytes()
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "localhost"])
def test_a_certificate_is_good_for_this_machine(tmp_path: Path, host: str) -> None:
    assert _names(tmp_path, host) == {"localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["change.example.com", "192.0.2.7"])
def test_a_certificate_names_the_host_that_is_served(tmp_path: Path, host: str) -> None:
    assert host in _names(tmp_path, host)


def test_each_start_has_a_fresh_certificate_from_the_kept_ca(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "tls", "localhost")
    ca, chain = files.ca.read_bytes(), files.chain.read_bytes()

    again = ensure_certificate(tmp_path / "tls", "localhost")

    assert (again.ca.read_bytes() == ca, again.chain.read_bytes() == chain) == (True, False)
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key"])
def test_a_ca_without_its_key_or_certificate_is_replaced(tmp_path: Path, lost: str) -> None:
    ensure_certificate(tmp_path, "localhost")
    (tmp_path / lost).unlink()

    files = ensure_certificate(tmp_path, "localhost")

    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    leaf = x509.load_pem_x509_certificates(files.chain.read_bytes())[0]
    leaf.verify_directly_issued_by(ca)
