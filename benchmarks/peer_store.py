"""What the peer's two ways of keeping rows have in common."""

from dataclasses import dataclass

SCOPE = "change_request.create"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an exchange is remembered by: where it came from, and what its assertion said of itself."""

    happened_at: int
    address: str | None
    kid: str | None
    algorithm: str
    issuer: str
    subject: str
    jti: str


class SeenBefore(Exception):
    """An assertion was exchanged for a token."""
