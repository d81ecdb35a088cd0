"""Orders for tokens, true or false."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

from demo_idp.layouts import PLAIN, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOrder:
    """The token to sign: a layout and deviations from it.

    None for subject, lifetime, and algorithm means that of the layout. None in `claims` or `header` leaves a member
    out.
    """

    audience: str | list[str]
    layout: Layout = PLAIN
    subject: str | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    lifetime: timedelta | None = None
    algorithm: str | None = None
    header: Mapping[str, str | None] = field(default_factory=dict)


class Signer(Enum):
    """The key that signs a token."""

    CURRENT = auto()
    RETIRED = auto()
    FOREIGN = auto()  # under a kid of its own
    FORGED = auto()  # under the kid of the current key
    EMBEDDED = auto()  # with the public half in the header
    PUBLIC_KEY = auto()  # HMAC with the public key as its secret
    NONE = auto()  # no signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """What is wrong with a token: deviations from the order, its signer, and what happens to it afterwards.

    `clock` is added to the provider's clock, `tampered` replaces claims after signing, and the token is sent so many
    `times`.
    """

    claims: Mapping[str, object] = field(default_factory=dict)
    header: Mapping[str, str | None] = field(default_factory=dict)
    audience: str | None = None
    lifetime: timedelta | None = None
    clock: timedelta = timedelta(0)
    signer: Signer = Signer.CURRENT
    tampered: Mapping[str, object] = field(default_factory=dict)
    times: int = 1


NO_DEVIATION = Deviation()
