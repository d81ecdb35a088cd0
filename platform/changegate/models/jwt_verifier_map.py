"""JWT verifier maps: certificates and shared keys that administrators add to an integration."""

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, relationship

from changegate.database import Base
from changegate.models.base import Record, boolean, reference, string, text
from changegate.models.sys_certificate import SysCertificate

# A shared key must be at least as long as the hash of its algorithm (RFC 7518 §3.2).
SHARED_KEY_BYTES: Mapping[str, int] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})


class JwtVerifierMap(Record, Base):
    """A key of an integration: a certificate, or an encrypted shared key.

    `kid` is compared with the header of an assertion. A map without `kid` is used if it is the only one that fits.
    """

    __tablename__ = "jwt_verifier_map"
    __table_args__ = (UniqueConstraint("entity", "name"),)

    entity: Mapped[str] = reference("Application", "oauth_entity", ondelete="CASCADE")
    name: Mapped[str] = string("Name", 100)
    kid: Mapped[str | None] = string("Kid", 256)
    sys_certificate: Mapped[str | None] = reference("Sys certificate", "sys_certificate", ondelete="RESTRICT")
    shared_key: Mapped[str | None] = text("Shared key", is_secret=True)
    enforce_dates: Mapped[bool] = boolean("Enforce dates", default=True)
    active: Mapped[bool] = boolean("Active", default=True)

    # A certificate belongs to exactly one map, and is deleted with it.
    certificate: Mapped[SysCertificate | None] = relationship(
        cascade="all, delete-orphan", single_parent=True, lazy="joined"
    )
