"""What a browser has begun: the values that the provider's answer must fit, in an encrypted cookie of that browser.

The cookie is the protection against forged answers (login CSRF): an answer counts only in the browser that has begun
the sign-in, for one provider, for ten minutes.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

from changegate.errors import SealBroken
from changegate.extensions import now
from changegate.sealed import seal, unseal
from changegate.services.single_sign_on.failures import SignOnFailed

ATTEMPT_LIFETIME = timedelta(minutes=10)
PURPOSE = "single sign-on attempt"


@dataclass(frozen=True, slots=True, repr=False)
class SignOnAttempt:
    """A sign-in that a browser has begun; `user` is the sys_id of a signed-in user who links their account."""

    alias: str
    state: str
    nonce: str
    verifier: str
    begun_at: float
    target: str | None = None
    user: str | None = None

    @classmethod
    def begin(cls, alias: str, *, target: str | None = None, user: str | None = None) -> "SignOnAttempt":
        """Return a new attempt with random values."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(alias, state, nonce, verifier, now().timestamp(), target, user)

    def sealed(self) -> str:
        """Return the attempt as encrypted text for the cookie."""
        return seal(json.dumps(asdict(self)), purpose=PURPOSE)

    @classmethod
    def open(cls, sealed: str, alias: str, state: str) -> "SignOnAttempt":
        """Return the attempt of a cookie if the answer fits it. Raises `SignOnFailed`."""
        try:
            attempt = cls(**json.loads(unseal(sealed, purpose=PURPOSE)))
        except (SealBroken, UnicodeError):
            raise SignOnFailed("sign_on_outdated") from None
        age = now().timestamp() - attempt.begun_at
        # A state is random for each attempt, so that the time of the comparison helps nobody.
        if attempt.state != state or not 0 <= age <= ATTEMPT_LIFETIME.total_seconds():
            raise SignOnFailed("sign_on_outdated")
        if attempt.alias != alias:
            raise SignOnFailed("sign_on_mixed_up", f"begun with {attempt.alias}, answered at the address of {alias}")
        return attempt
