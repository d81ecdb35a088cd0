"""Domain errors, with their HTTP status; those of the OAuth endpoints are in `oauth_errors`.

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

    @property
    def sentence(self) -> str:
        """Return what pages show."""
        return self.detail or self.message


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

    def __init__(self) -> None:
        super().__init__("token_refused")


class AccessRefused(ChangegateError):
    """The authenticated caller may not do this."""

    status = 403
    reason = "access_refused"


class OperationRefused(AccessRefused):
    """A table refuses an operation to the caller, whose roles do not allow it.

    API clients get the text of ServiceNow, which real clients compare, with its `verb`; pages show the sentence.
    """

    def __init__(self, verb: str, sentence: str) -> None:
        super().__init__("Operation Failed", f"ACL Exception {verb} Failed due to security constraints")
        self._sentence = sentence

    @property
    def sentence(self) -> str:
        """Return which callers may do it."""
        return self._sentence


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


class WriteAborted(OperationFailed):
    """A rule aborted a write of the Change Management API, which clients of that API expect as 400."""

    status = 400

    def __init__(self, message: str) -> None:
        ChangegateError.__init__(self, message, "")


class RecordChanged(ChangegateError):
    """A rule aborted a write to a record that another caller changed while this write waited for it."""

    status = 409
    reason = "record_changed"

    def __init__(self, detail: str) -> None:
        super().__init__("Record has changed", f"{detail} Read the record again, and decide on what is stored now.")


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


class LinkEnded(ChangegateError):
    """A link of an account is unknown, was used, or has expired."""

    status = 410

    def __init__(self) -> None:
        super().__init__("The link has ended", "The link was used or replaced, or it has expired. Ask for a new one.")


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
