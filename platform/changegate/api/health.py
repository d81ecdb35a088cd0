"""Health checks: liveness and readiness."""

from flask import Blueprint, Response
from sqlalchemy.exc import ProgrammingError

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import json_response, refusal
from changegate.database import connection
from changegate.database.dialects import accepts_writes
from changegate.database.schema import Schema, newest_migration, read_schema
from changegate.services.jobs.overview import status_of_jobs
from changegate.unproxied import current_application, current_request

# In the environment of a request: why the server is not ready.
UNREADY = "changegate.unready"
READ_ONLY = "The database accepts no writes."
bp = Blueprint("health", __name__)
bp.before_request(allow_anyone)


@bp.get("/healthz")
def health_view() -> Response:
    """Answer as long as the process runs."""
    return json_response({"status": "ok"})


@bp.get("/readyz")
def ready_view() -> Response:
    """Answer 200 if this node can write to the database, with its schema and the status of jobs.

    Answer 503 otherwise, or if the server has found a reason why this node must get no more requests.
    """
    if reason := current_request().environ.get(UNREADY):
        raise refusal(503, "Service unavailable", reason)
    own = newest_migration(current_application().extensions["migrate"].directory)
    try:
        schema = read_schema(connection())
    except ProgrammingError:
        schema = Schema("", "")
    if obstacle := schema.find_obstacle(own):
        raise refusal(503, "Service unavailable", obstacle)
    if not accepts_writes():
        raise refusal(503, "Service unavailable", READ_ONLY)
    range_ = {"database": schema.revision, "oldest": schema.oldest, "node": own}
    return json_response({"status": "ready", "jobs": status_of_jobs(), "schema": range_})
