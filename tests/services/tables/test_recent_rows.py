"""Rows such as choices are cached for a second, and no longer than they are valid."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update

from changegate import create_app
from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysChoice
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables import recent_rows as module
from changegate.services.tables.choices import ChoicesKey, LabelsByElement, find_choices
from changegate.services.tables.recent_rows import RecentRows, recent_rows
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.statements import counted_statements

ROOT = Caller("0" * 32, "root", Permissions(frozenset({"admin"})))
CHOICES = get_table("sys_choice")
STATE = ChoicesKey("change_request", ("state",), active_only=False)


class Reader:
    """Counts how often it reads."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _key: ChoicesKey) -> LabelsByElement:
        self.times += 1
        return {"state": {str(self.times): "Read"}}


@pytest.fixture
def at_work(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def test_choices_are_cached_for_a_second() -> None:
    seconds, read = [10.0], Reader()
    kept = RecentRows(lambda: seconds[0])
    for now, expected in ((10.0, "1"), (10.99, "1"), (11.0, "2"), (11.5, "2")):
        seconds[0] = now
        assert kept.find(STATE, read) == {"state": {expected: "Read"}}


def test_each_key_is_read_separately() -> None:
    kept, read = RecentRows[ChoicesKey, LabelsByElement](), Reader()
    others = (STATE._replace(table="task"), STATE._replace(elements=("risk",)), STATE._replace(active_only=True))
    for key in (STATE, *others):
        kept.find(key, read)
    assert read.times == 4


def test_choices_read_during_a_write_of_a_choice_are_not_cached() -> None:
    kept, read = RecentRows(), Reader()

    def read_meanwhile(key: ChoicesKey) -> LabelsByElement:
        labels = read(key)
        kept.forget()
        return labels

    kept.find(STATE, read_meanwhile)
    assert kept.find(STATE, read) == {"state": {"2": "Read"}}


def test_the_least_recently_used_choices_are_dropped_at_its_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES_CACHED", 2)
    kept, read = RecentRows(lambda: 10.0), Reader()
    found = [kept.find(STATE._replace(table=name), read)["state"] for name in ("a", "b", "a", "c", "a", "b")]
    assert [min(labels) for labels in found] == ["1", "2", "1", "3", "1", "4"]


def test_a_repeated_lookup_needs_no_statement(at_work: Flask) -> None:
    find_choices("change_request", ["state"])
    with counted_statements() as statements:
        assert find_choices("change_request", ["state"])["state"]["-5"] == "New"
    assert statements == []


def test_each_write_of_a_choice_takes_effect_with_the_next_lookup(at_work: Flask) -> None:
    def labels() -> dict[str, str]:
        return dict(find_choices("change_request", ["category"], active_only=True)["category"])

    before = labels()
    fields = {"name": "change_request", "element": "category", "language": "en", "value": "Cloud", "label": "Clouds"}
    created = create_record(CHOICES, ROOT, fields)
    assert labels() == before | {"Cloud": "Clouds"}
    update_record(CHOICES, ROOT, created["sys_id"], {"label": "Weather"})
    assert labels() == before | {"Cloud": "Weather"}
    delete_record(CHOICES, ROOT, created["sys_id"])
    assert labels() == before


def test_a_write_of_another_process_takes_effect_within_a_second(at_work: Flask) -> None:
    seconds = [10.0]
    at_work.extensions["recent_sys_choice"] = RecentRows(lambda: seconds[0])
    assert find_choices("task", ["contact_type"])["contact_type"]["web"] == "Web"
    connection().execute(update(SysChoice).where(SysChoice.value == "web").values(label="Portal"))
    db.session.commit()
    seconds[0] += module.KEPT_FOR_SECONDS
    assert find_choices("task", ["contact_type"])["contact_type"]["web"] == "Portal"


def test_each_application_has_its_own_cache(at_work: Flask) -> None:
    other = create_app(instance_path=at_work.instance_path)
    with other.app_context():
        theirs = recent_rows("sys_choice")
    assert theirs is not recent_rows("sys_choice")
