"""The history over HTTP, and every path by which rows are changed or deleted elsewhere."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.extensions import db
from changegate.models import ChgHistory
from tests.conftest import Clock
from tests.support.jobs import repeating_kinds, run_due_jobs
from tests.support.table_api import TableApi, result_of

HISTORY = "/api/now/table/chg_history"


@pytest.fixture
def entry(client: FlaskClient, admin: dict[str, str]) -> dict[str, Any]:
    """The creation of a change that was moved."""
    changes = TableApi(client, admin)
    change = changes.created(short_description="Restart")
    assert changes.update(change["sys_id"], {"state": "4"}).status_code == 200
    found: dict[str, Any] = result_of(TableApi(client, admin, HISTORY).page(query=f"subject_id={change['sys_id']}"))[0]
    return found


def rows(app: Flask) -> list[Any]:
    with app.app_context():
        return list(connection().execute(select(ChgHistory.__table__).order_by(ChgHistory.sys_id)))


def test_the_table_api_shows_the_history_of_a_change(client: FlaskClient, admin: dict[str, str]) -> None:
    changes = TableApi(client, admin)
    change = changes.created(short_description="Restart")
    assert changes.update(change["sys_id"], {"state": "4"}).status_code == 200
    history = TableApi(client, admin, HISTORY)
    found = result_of(history.page(query=f"subject_id={change['sys_id']}^ORDERBYseq", fields="seq,kind,sys_created_by"))
    assert found == [
        {"seq": "1", "kind": "created", "sys_created_by": "admin"},
        {"seq": "2", "kind": "moved", "sys_created_by": "admin"},
    ]
    assert changes.delete(change["sys_id"]).status_code == 204
    assert len(history.found(f"subject_id={change['sys_id']}", "kind")) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("is_batch", [False, True])
def test_no_call_writes_the_history(
    app: Flask, client: FlaskClient, admin: dict[str, str], entry: dict[str, Any], method: str, is_batch: bool
) -> None:
    before = rows(app)
    path = HISTORY if method == "POST" else f"{HISTORY}/{entry['sys_id']}"
    if is_batch:
        call = {"id": "1", "method": method, "url": path, "body": "e30=", "headers": []}
        response = client.post(
            "/api/now/v1/batch", json={"batch_request_id": "1", "rest_requests": [call]}, headers=admin
        )
        statuses = [served["status_code"] for served in response.get_json()["serviced_requests"]]
    else:
        statuses = [client.open(path, method=method, json={"kind": "x"}, headers=admin).status_code]
    assert statuses == [403]
    assert rows(app) == before


def test_the_orm_cannot_change_or_delete_an_entry(app: Flask, entry: dict[str, Any]) -> None:
    before = rows(app)
    with app.app_context():
        db.session.get_one(ChgHistory, entry["sys_id"]).kind = "x"
        with pytest.raises(IntegrityError, match="append-only"):
            db.session.flush()
        db.session.rollback()
        db.session.delete(db.session.get_one(ChgHistory, entry["sys_id"]))
        with pytest.raises(IntegrityError, match="append-only"):
            db.session.flush()
        db.session.rollback()
    assert rows(app) == before


def test_no_job_purges_the_history(app: Flask, clock: Clock, entry: dict[str, Any]) -> None:
    before = rows(app)
    clock.advance(days=4000)
    run_due_jobs(app, *repeating_kinds())
    assert rows(app) == before
