"""Certificates. Only their public keys are used, to verify assertions; the chain and issuer give no trust."""

from datetime import datetime

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, instant, string, text


class SysCertificate(Record, Base):
    """A certificate; `fingerprint` is its SHA-256 in hex, `thumbprint` that of its key (RFC 7638)."""

    __tablename__ = "sys_certificate"

    name: Mapped[str] = string("Name", 100)
    pem_certificate: Mapped[str] = text("PEM Certificate", 20_000)
    subject: Mapped[str] = string("Subject", 1000)
    issuer: Mapped[str] = string("Issuer", 1000)
    serial_number: Mapped[str] = string("Serial number", 64)
    valid_from: Mapped[datetime] = instant("Valid from")
    expires: Mapped[datetime] = instant("Expires")
    fingerprint: Mapped[str] = string("Fingerprint", 64)
    thumbprint: Mapped[str] = string("Thumbprint", 43)
