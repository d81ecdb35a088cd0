"""Health checks: liveness and readiness."""

from flask import Blueprint, Response
from sqlalchemy import select

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import json_response, refusal
from changegate.database import connection
from changegate.models import SysUser
from changegate.services.jobs.overview import status_of_jobs
from changegate.unproxied import current_request

# In the environment of a request: why the server is not ready.
UNREADY = "changegate.unready"
bp = Blueprint("health", __name__)
bp.before_request(allow_anyone)


@bp.get("/healthz")
def health_view() -> Response:
    """Answer as long as the process runs."""
    return json_response({"status": "ok"})


@bp.get("/readyz")
def ready_view() -> Response:
    """Answer 200 if the database is available and migrated, with the status of jobs, which requests do not need.

    Answer 503 otherwise, or if the server has found a reason why this node must get no more requests.
    """
    if reason := current_request().environ.get(UNREADY):
        raise refusal(503, "Service unavailable", reason)
    connection().execute(select(SysUser.sys_id).limit(1))
    return json_response({"status": "ready", "jobs": status_of_jobs()})
