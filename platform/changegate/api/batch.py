"""The Batch API: docs/reference/other-apis.md#batch."""

from typing import Any

from flask import Blueprint, Response
from marshmallow import ValidationError

from changegate.api.auth import require_caller
from changegate.api.envelopes import api_response
from changegate.api.negotiation import require_acceptable
from changegate.api.request_body import read_object
from changegate.api.subrequests import IN_BATCH, answer_subrequest
from changegate.database import require_time
from changegate.errors import InputInvalid, RequestUnreadable, TimeExceeded, TooManyLongRequests
from changegate.extensions import db
from changegate.schemas.batch import BatchSchema, Identifier
from changegate.schemas.field_errors import field_errors
from changegate.unproxied import current_request

MAX_REQUESTS = 1000
# Requests beyond `MAX_REQUESTS` are returned as unserviced, up to this many; a longer batch is refused.
MAX_LISTED = 10_000
# All responses together, encoded. The remaining requests are unserviced; the caller sends them again.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
Answers = list[dict[str, Any]]
bp = Blueprint("batch", __name__)
bp.before_request(require_caller)
bp.before_request(require_acceptable)
_schema = BatchSchema()
_identifier = Identifier()


@bp.post("/batch")
def batch_view() -> Response:
    """Run the requests of a batch in order, each in its own transaction.

    Any caller may send a batch: scopes and roles are checked for each request in it. Requests beyond the limits of
    time and size are listed as unserviced.
    """
    if IN_BATCH in current_request().environ:
        raise RequestUnreadable("A batch cannot hold a batch")
    require_time(for_search=True)
    batch = _load(read_object())
    requested = [(_id_of(item, at), item) for at, item in enumerate(batch["rest_requests"])]
    # Each request opens its own connection. Keeping this one would need two connections for each thread.
    db.session.close()
    served = _serve(requested)
    return api_response(
        {
            "batch_request_id": batch["batch_request_id"],
            "serviced_requests": served,
            "unserviced_requests": [identifier for identifier, _ in requested[len(served) :]],
        }
    )


def _serve(requested: list[tuple[str, dict[str, Any]]]) -> Answers:
    """Run as many requests as time and size allow; return their responses."""
    room = MAX_ANSWER_BYTES
    served: Answers = []
    for identifier, item in requested[:MAX_REQUESTS]:
        if room <= 0 or not _has_time():
            break
        served.append(answer_subrequest(identifier, item))
        room -= len(served[-1].get("body", ""))
    return served


def _has_time() -> bool:
    try:
        require_time()
    except (TimeExceeded, TooManyLongRequests):
        return False
    return True


def _load(sent: dict[str, Any]) -> dict[str, Any]:
    listed = sent.get("rest_requests")
    if isinstance(listed, list) and len(listed) > MAX_LISTED:
        raise InputInvalid({"rest_requests": [f"{len(listed)} requests are more than the {MAX_LISTED} of a batch."]})
    try:
        batch: dict[str, Any] = _schema.load(sent)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return batch


def _id_of(item: dict[str, Any], at: int) -> str:
    # Without an ID, the caller could not match the response to its request.
    try:
        return str(_identifier.deserialize(item.get("id")))
    except ValidationError:
        raise InputInvalid({"rest_requests": [f"Request {at + 1} has no id."]}) from None
