"""Domain errors, with their HTTP status and, for OAuth, their error code.

Services raise them; each interface (Table API, OAuth, console, command line) renders them in its own format.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ChangegateError(Exception):
    """A refusal, with one sentence that users can act on.

    `reason` is the code in the event log for administrators; it is never sent to the caller.
    """

    status = 400
    reason = "refused"

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InputInvalid(ChangegateError):
    """A form, a command, or an admin call has invalid fields."""

    def __init__(self, fields: "Mapping[str, list[str]]") -> None:
        sentences = [f"{name}: {' '.join(texts)}" for name, texts in fields.items()]
        super().__init__("; ".join(sentences))
        self.fields = dict(fields)


class AdministratorRequired(InputInvalid):
    """Only an administrator may save an integration whose tokens may act as an administrator."""

    status = 403

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__({field: [sentence]})


class NotAuthenticated(ChangegateError):
    """The caller did not authenticate. Real clients compare both texts, so they must not change.

    `reason` and `user_name`, of an existing user, are for the event log; they are never sent to the caller.
    """

    status = 401

    def __init__(self, reason: str = "credentials_missing", user_name: str | None = None) -> None:
        super().__init__("User Not Authenticated", "Required to provide Auth information")
        self.reason = reason
        self.user_name = user_name


class TokenRefused(NotAuthenticated):
    """A bearer token is invalid, expired, or revoked (RFC 6750 §3.1)."""

    def __init__(self, reason: str = "token_refused") -> None:
        super().__init__(reason)


class AccessRefused(ChangegateError):
    """The authenticated caller may not do this."""

    status = 403
    reason = "access_refused"


class ScopeMissing(AccessRefused):
    """The scopes of the access token cover none of `calls` (`ApiCall`). Real clients compare the message.

    The error handler adds the scopes that would cover a call as the detail.
    """

    reason = "scope_missing"

    def __init__(self, *calls: Any) -> None:
        super().__init__("Missing required api access scope")
        self.calls = calls


class RecordNotFound(ChangegateError):
    """The record does not exist, or the caller may not read it."""

    status = 404

    def __init__(self) -> None:
        super().__init__("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class TableUnknown(ChangegateError):
    """The table is not served. The status is 400, because clients read 404 as a missing record."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid table {name}")


class OperationFailed(ChangegateError):
    """A rule aborted a write."""

    status = 403
    reason = "rule_refused"

    def __init__(self, detail: str) -> None:
        super().__init__("Operation Failed", detail)


class KeyAlreadyUsed(ChangegateError):
    """An Idempotency-Key was used for another creation."""

    status = 409

    def __init__(self, detail: str) -> None:
        super().__init__("Idempotency-Key already used", detail)


class VersionOutdated(ChangegateError):
    """A write was meant for another version of the record than the stored one (RFC 9110 §13.1.1)."""

    status = 412

    def __init__(self, version: str, detail: str) -> None:
        super().__init__("Precondition Failed", f"{detail} Read it again, and repeat the change on what is stored now.")
        self.version = version


class VersionMissing(ChangegateError):
    """A write that requires If-Match does not have it (RFC 6585 §3)."""

    status = 428

    def __init__(self) -> None:
        super().__init__("Precondition Required", "Send the ETag of what you have read in the header If-Match.")


class RequestUnreadable(ChangegateError):
    """The body or a parameter of a request is malformed."""

    def __init__(self, detail: str) -> None:
        super().__init__("Exception while reading request", detail)


class FormUnacceptable(ChangegateError):
    """The caller accepts neither JSON nor XML."""

    status = 406

    def __init__(self) -> None:
        super().__init__("Unsupported media type", "Only application/json and application/xml are served")


class MediaTypeUnsupported(ChangegateError):
    """The media type or encoding of a body is not supported."""

    status = 415

    def __init__(self, sent: str, expected: str) -> None:
        super().__init__("Unsupported media type", f"{sent[:100]} is not {expected}")


class TimeExceeded(ChangegateError):
    """A request exceeded its maximum time; PySNC searches for these words in every refusal."""

    def __init__(self) -> None:
        super().__init__("Transaction cancelled: maximum execution time exceeded", "Ask for less at once")


class TooManyLongRequests(ChangegateError):
    """A long request exceeds the number of concurrent long requests of its caller, or of all callers together.

    `places` is the limit of the caller; without it, the limit of all callers is reached.
    """

    status = 503
    retry_after = 2

    def __init__(self, places: int | None = None) -> None:
        detail = "All callers together have as many long requests at work as the server allows; try again"
        if places is not None:
            self.status = 429
            detail = f"Long requests of one user and integration at work: {places} allowed; wait until one ends"
        super().__init__("Too many long requests", detail)


class RateLimited(ChangegateError):
    """Too many failures from this caller; `retry_after` is in seconds."""

    status = 429
    reason = "rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__("Rate limit exceeded", f"Too many failed attempts; try again in {retry_after} seconds")
        self.retry_after = retry_after


class TooManyOpenBodies(RateLimited):
    """An address has too many unfinished bodies; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.message = "Too many unfinished requests"
        self.detail = f"Too many requests from this address are unfinished; try again in {retry_after} seconds"


class QuotaReached(ChangegateError):
    """An integration has reached its limit of creations; `retry_after` is in seconds."""

    status = 429

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__("Creation quota reached", detail)
        self.retry_after = retry_after


class JwksUnusable(ChangegateError):
    """A document is not a key set, or contains no usable key."""


class JwksFetchFailed(ChangegateError):
    """A key set could not be fetched; the message is for administrators."""


class SealBroken(ChangegateError):
    """An encrypted secret in the database cannot be decrypted."""

    status = 503

    def __init__(self) -> None:
        super().__init__("A stored secret cannot be opened: it was sealed under another secret key")


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
