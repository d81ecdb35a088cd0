"""The Idempotency-Key header of a creation."""

import hashlib
from typing import Any

import orjson
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from changegate.extensions import db
from tests.conftest import Clock, basic
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

BODY = {"short_description": "once", "correlation_id": "build-42"}


def create(api: TableApi, key: str, body: Any = BODY, path: str = CHANGES) -> TestResponse:
    return api.client.post(path, json=body, headers={**api.headers, "Idempotency-Key": key})


def test_a_repetition_answers_as_the_first_did(api: TableApi) -> None:
    first, again = create(api, "k1"), create(api, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert again.headers["Location"] == first.headers["Location"]
    assert api.found("") == ["once"]


def test_a_repetition_shows_the_record_as_it_is_now_and_as_it_is_asked_for(api: TableApi) -> None:
    sys_id = result_of(create(api, "k1"))["sys_id"]
    api.update(sys_id, {"short_description": "changed"})
    path = f"{CHANGES}?sysparm_fields=short_description&sysparm_display_value=all"
    again = create(api, "k1", path=path)
    assert again.status_code == 201
    assert result_of(again) == {"short_description": {"display_value": "changed", "value": "changed"}}


def test_another_body_is_a_conflict_in_the_usual_envelope(api: TableApi) -> None:
    create(api, "k1")
    response = create(api, "k1", {"short_description": "other"})
    assert response.status_code == 409
    assert error_of(response) == ("Idempotency-Key already used", "This Idempotency-Key came with another body before")
    assert api.found("") == ["once"]


def test_the_key_of_a_deleted_record_is_a_conflict(api: TableApi) -> None:
    api.delete(result_of(create(api, "k1"))["sys_id"])
    response = create(api, "k1")
    assert response.status_code == 409
    assert error_of(response)[1] == "The record that this Idempotency-Key created has been deleted"
    assert api.found("") == []


def test_the_stored_fingerprint_does_not_reveal_the_body(api: TableApi, app: Flask) -> None:
    create(api, "k1")
    with app.app_context():
        kept = db.session.execute(text("SELECT body_hash FROM sys_idempotency_key")).scalar_one()
    assert kept != hashlib.sha256(orjson.dumps([BODY, False], option=orjson.OPT_SORT_KEYS)).hexdigest()


def test_refuses_an_invalid_key(api: TableApi) -> None:
    for key in ("", "x" * 256, "caf\u00e9"):
        response = create(api, key)
        assert response.status_code == 400
        assert str(error_of(response)[1]).startswith("Header Idempotency-Key: ")
    assert api.found("") == []


def test_a_refused_creation_leaves_the_key_free(api: TableApi) -> None:
    assert create(api, "k1", {"priority": 9}).status_code == 400
    assert create(api, "k1").status_code == 201


def test_one_callers_key_is_free_for_another(api: TableApi, add_user: Any) -> None:
    add_user("ann", "itil")
    ann = TableApi(api.client, basic("ann", "itil itil itil"))
    ids = {result_of(create(caller, "k1"))["sys_id"] for caller in (api, ann)}
    assert len(ids) == 2


def test_every_version_of_the_path_is_one_table(api: TableApi) -> None:
    first = result_of(create(api, "k1"))
    assert result_of(create(api, "k1", path="/api/now/v2/table/change_request")) == first


def test_a_key_is_kept_for_a_day(api: TableApi, app: Flask) -> None:
    clock: Clock = app.config["CLOCK"]
    first = result_of(create(api, "k1"))["sys_id"]
    clock.advance(hours=23)
    assert result_of(create(api, "k1"))["sys_id"] == first
    clock.advance(hours=2)
    assert result_of(create(api, "k1"))["sys_id"] != first
