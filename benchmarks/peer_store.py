"""The types that both stores of the peer use."""

from dataclasses import dataclass

SCOPE = "change_request.create"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The stored facts of an exchange: its origin, and values of its assertion."""

    happened_at: int
    address: str | None
    kid: str | None
    algorithm: str
    issuer: str
    subject: str
    jti: str


class SeenBefore(Exception):
    """An assertion was exchanged for a token."""
