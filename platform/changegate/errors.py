"""Domain errors; each knows its HTTP status and, for OAuth, its wire code.

Services raise them; one registrar per audience (Table API, OAuth, console, command line) renders them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ChangegateError(Exception):
    """Anything this product refuses, in one sentence a person can act on.

    `reason` is the code for the administrator's event log; it never goes to the caller.
    """

    status = 400
    reason = "refused"

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InputInvalid(ChangegateError):
    """A form, a command or an admin call holds fields that are not acceptable."""

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
    """The caller did not prove who they are; the two texts are what real clients look for.

    `reason` and `user_name`, that of an existing user, are for the administrator's event log and not for the caller.
    """

    status = 401

    def __init__(self, reason: str = "credentials_missing", user_name: str | None = None) -> None:
        super().__init__("User Not Authenticated", "Required to provide Auth information")
        self.reason = reason
        self.user_name = user_name


class TokenRefused(NotAuthenticated):
    """A bearer token that does not work here, or no longer (RFC 6750 §3.1)."""

    def __init__(self, reason: str = "token_refused") -> None:
        super().__init__(reason)


class AccessRefused(ChangegateError):
    """The caller is known and may not do this."""

    status = 403
    reason = "access_refused"


class ScopeMissing(AccessRefused):
    """The access token's scopes cover none of `calls`, each an `ApiCall`; real clients look for the message.

    The registrar of errors adds the detail: the scopes that would cover one.
    """

    reason = "scope_missing"

    def __init__(self, *calls: Any) -> None:
        super().__init__("Missing required api access scope")
        self.calls = calls


class RecordNotFound(ChangegateError):
    """The record does not exist, or the caller may not know that it does."""

    status = 404

    def __init__(self) -> None:
        super().__init__("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class TableUnknown(ChangegateError):
    """The table is not served; clients take a 404 for a missing record, so this is a 400."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid table {name}")


class OperationFailed(ChangegateError):
    """A write was aborted by a rule of the product."""

    status = 403
    reason = "rule_refused"

    def __init__(self, detail: str) -> None:
        super().__init__("Operation Failed", detail)


class KeyAlreadyUsed(ChangegateError):
    """An Idempotency-Key stands for another creation than the one that is asked for now."""

    status = 409

    def __init__(self, detail: str) -> None:
        super().__init__("Idempotency-Key already used", detail)


class VersionOutdated(ChangegateError):
    """A write was meant for another version of the record than the one that is stored (RFC 9110 §13.1.1)."""

    status = 412

    def __init__(self, version: str, detail: str) -> None:
        super().__init__("Precondition Failed", f"{detail} Read it again, and repeat the change on what is stored now.")
        self.version = version


class VersionMissing(ChangegateError):
    """A write that replaces what was read does not say which version that was (RFC 6585 §3)."""

    status = 428

    def __init__(self) -> None:
        super().__init__("Precondition Required", "Send the ETag of what you have read in the header If-Match.")


class RequestUnreadable(ChangegateError):
    """The body or a parameter of a request cannot be read as what it claims to be."""

    def __init__(self, detail: str) -> None:
        super().__init__("Exception while reading request", detail)


class FormUnacceptable(ChangegateError):
    """The caller takes no form that answers come in."""

    status = 406

    def __init__(self) -> None:
        super().__init__("Unsupported media type", "Only application/json and application/xml are served")


class MediaTypeUnsupported(ChangegateError):
    """The body of a request comes in a form that is not read."""

    status = 415

    def __init__(self, sent: str, expected: str) -> None:
        super().__init__("Unsupported media type", f"{sent[:100]} is not {expected}")


class TimeExceeded(ChangegateError):
    """A request has had the time that one request may take; PySNC looks for these words in any refusal."""

    def __init__(self) -> None:
        super().__init__("Transaction cancelled: maximum execution time exceeded", "Ask for less at once")


class TooManyLongRequests(ChangegateError):
    """A request takes long, and its caller, or all callers together, have as many such requests at work as they may.

    `places` is how many the caller may have; without it, all callers together are at their limit.
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
    """An address has too many bodies under way; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.message = "Too many unfinished requests"
        self.detail = f"Too many requests from this address are unfinished; try again in {retry_after} seconds"


class QuotaReached(ChangegateError):
    """An integration has created as much as it may; `retry_after` is in seconds."""

    status = 429

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__("Creation quota reached", detail)
        self.retry_after = retry_after


class JwksUnusable(ChangegateError):
    """A document is not a key set, or holds no key that can be used."""


class JwksFetchFailed(ChangegateError):
    """A key set could not be fetched; the message tells the administrator what happened."""


class SealBroken(ChangegateError):
    """A secret that was sealed in the database cannot be opened."""

    status = 503

    def __init__(self) -> None:
        super().__init__("A stored secret cannot be opened: it was sealed under another secret key")


class OAuthError(ChangegateError):
    """A refusal at the token endpoint (RFC 6749 §5.2).

    `reason` is the code for the administrator's event log and never goes to the caller; `report` holds the
    outcome of each rule where an assertion was judged. `assertion` is the one by which a client meant to prove itself.
    `remedy` is for the caller as well: what is malformed or over a published bound, never what was sent.
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
    """A parameter is missing, repeated or malformed; `detail` names it, and the caller learns that too."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail, remedy=detail)


class InvalidClient(OAuthError):
    """The client is unknown, inactive or did not prove who it is."""

    status = 401
    error = "invalid_client"
    description = "Client authentication failed"


class InvalidGrant(OAuthError):
    """The grant is not acceptable (RFC 7521 §4.1.1)."""

    error = "invalid_grant"
    description = "The assertion was rejected"


class AssertionRefused(InvalidGrant):
    """The assertion failed a rule; the report says which."""


class UserRefused(InvalidGrant):
    """A user's name and password are not right, or the user may not sign in; which of these is nobody's to know."""

    description = "The user name or password is wrong, or the user is not allowed to sign in"


class RefreshTokenRefused(InvalidGrant):
    """A refresh token is unknown, another client's, or has ended."""

    description = "The refresh token was rejected"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type."""

    error = "unauthorized_client"
    description = "The client may not use this grant type"


class UnsupportedGrantType(OAuthError):
    """No such grant type is offered here."""

    error = "unsupported_grant_type"
    description = "The grant type is not supported"


class InvalidScope(OAuthError):
    """The requested scope is unknown or more than the integration has."""

    error = "invalid_scope"
    description = "The requested scope is not granted to this client"


class TemporarilyUnavailable(OAuthError):
    """The fault is on our side of the trust: no key set could be had, no signature was checked."""

    status = 503
    error = "temporarily_unavailable"
    description = "The signing keys cannot be checked at the moment"


class TooManyFailures(OAuthError):
    """Too many failed requests for this client from this address; `retry_after` is in seconds."""

    status = 429
    error = "temporarily_unavailable"
    description = "Too many failed requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__("rate_limited")
        self.retry_after = retry_after
