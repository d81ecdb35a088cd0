"""A local certificate authority, for clients that require https."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import trustme

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate: the CA for clients to trust, the chain, and its key."""

    ca: Path
    chain: Path
    key: Path


def ensure_certificate(folder: Path, host: str) -> Certificate:
    """Return a new server certificate for a host, issued by the CA in the folder, which is created once."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Certificate(ca=folder / "ca.pem", chain=folder / "server.pem", key=folder / "server.key")
    authority = _kept_authority(files.ca, folder / "ca.key")
    leaf = authority.issue_cert(*dict.fromkeys((*LOCAL_NAMES, *_servable(host))))
    _write_private(files.chain, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    _write_private(files.key, leaf.private_key_pem.bytes())
    return files


def _servable(host: str) -> tuple[str, ...]:
    try:
        return () if ipaddress.ip_address(host).is_unspecified else (host,)
    except ValueError:
        return (host,)


def _kept_authority(certificate: Path, key: Path) -> trustme.CA:
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="Changegate local CA")
    _write_private(key, authority.private_key_pem.bytes())
    _write_private(certificate, authority.cert_pem.bytes())
    return authority


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
