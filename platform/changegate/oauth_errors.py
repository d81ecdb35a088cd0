"""Refusals of the OAuth endpoints, with their error code (RFC 6749 §5.2).

Their reason is for the event log; see `errors` for all other refusals.
"""

from changegate.errors import ChangegateError


class OAuthError(ChangegateError):
    """A refusal at the token endpoint (RFC 6749 §5.2).

    `reason` is the code in the event log for administrators; it is never sent to the caller. `report` contains the
    outcome of each rule if an assertion was verified. `assertion` is the client assertion, if any. `remedy` is sent to
    the caller: what is malformed or exceeds a published limit, without the sent value.
    """

    error = "invalid_request"
    description = "The request is malformed"

    def __init__(
        self,
        reason: str,
        detail: str | None = None,
        *,
        report: object = None,
        assertion: object = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(self.description, detail)
        self.reason = reason
        self.report = report
        self.assertion = assertion
        self.remedy = remedy


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, or malformed; `detail` names it and is sent to the caller."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail, remedy=detail)


class InvalidClient(OAuthError):
    """The client is unknown, is inactive, or did not authenticate."""

    status = 401
    error = "invalid_client"
    description = "Client authentication failed"


class InvalidGrant(OAuthError):
    """The grant is invalid (RFC 7521 §4.1.1)."""

    error = "invalid_grant"
    description = "The assertion was rejected"


class AssertionRefused(InvalidGrant):
    """The assertion failed a rule, which the report contains."""


class UserRefused(InvalidGrant):
    """The user name or password is wrong, or the user may not sign in; the response does not reveal which."""

    description = "The user name or password is wrong, or the user is not allowed to sign in"


class RefreshTokenRefused(InvalidGrant):
    """A refresh token is unknown, belongs to another client, or has ended."""

    description = "The refresh token was rejected"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type."""

    error = "unauthorized_client"
    description = "The client may not use this grant type"


class UnsupportedGrantType(OAuthError):
    """The grant type is not supported."""

    error = "unsupported_grant_type"
    description = "The grant type is not supported"


class InvalidScope(OAuthError):
    """The requested scope is unknown, or the integration does not have it."""

    error = "invalid_scope"
    description = "The requested scope is not granted to this client"


class TemporarilyUnavailable(OAuthError):
    """The signature could not be verified, because no key set is available; not the caller's fault."""

    status = 503
    error = "temporarily_unavailable"
    description = "The signing keys cannot be checked at the moment"


class TooManyFailures(OAuthError):
    """Too many failed requests of this client from this address; `retry_after` is in seconds."""

    status = 429
    error = "temporarily_unavailable"
    description = "Too many failed requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__("rate_limited")
        self.retry_after = retry_after
