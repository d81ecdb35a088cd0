"""The content that an approval covers, and its differences in words."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import ChgApprovalContent, CmdbCi, SysAttachment, TaskCi
from changegate.services.approvals.content import (
    GOVERNED_FIELDS,
    changed_fields,
    describe_differences,
    find_content,
    parse_governed_fields,
    read_content,
    store_content,
)
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.services.standard_changes.template_records import add_template
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
AT = datetime(2026, 12, 1, 22, 0, tzinfo=UTC)


@pytest.fixture
def change() -> dict[str, Any]:
    sent = {"implementation_plan": "Deploy", "start_date": "2026-12-01 22:00:00", "risk": "3"}
    return dict(create_record(get_table("change_request"), ROOT, sent))


def added(model: Any) -> str:
    db.session.add(model)
    db.session.flush()
    sys_id: str = model.sys_id
    return sys_id


def attach(change: str, name: str, digest: str) -> None:
    sizes = {"size_bytes": 1, "size_compressed": 1, "chunk_size_bytes": 1}
    file = {"table_name": "change_request", "table_sys_id": change, "content_type": "text/plain"}
    added(SysAttachment(file_name=name, hash=digest * 64, **sizes, **file))


def test_the_content_has_fields_affected_cis_and_files(change: dict[str, Any]) -> None:
    web, db_server = (added(CmdbCi(name=name)) for name in ("web", "db"))
    for item in (web, db_server):
        added(TaskCi(task=change["sys_id"], ci_item=item))
    attach(change["sys_id"], "plan.txt", "b")
    attach("0" * 32, "other.txt", "c")

    content = read_content(change, GOVERNED_FIELDS)
    assert content.keys() == set(GOVERNED_FIELDS)
    assert content["implementation_plan"] == "Deploy"
    assert (content["start_date"], content["risk"], content["backout_plan"]) == ("2026-12-01 22:00:00", "3", None)
    assert content["task_ci"] == sorted([web, db_server])
    assert content["sys_attachment"] == [["plan.txt", "b" * 64]]


def test_equal_contents_have_one_hash_and_are_stored_once(change: dict[str, Any]) -> None:
    digests = {
        store_content(read_content(fields, GOVERNED_FIELDS)) for fields in (change, dict(reversed(change.items())))
    }
    stored = db.session.execute(select(ChgApprovalContent)).scalars().all()

    assert [row.hash for row in stored] == list(digests)
    assert hashlib.sha256(stored[0].content.encode()).hexdigest() == stored[0].hash
    assert find_content(stored[0].hash) == read_content(change, GOVERNED_FIELDS)
    assert find_content("0" * 64) is None


def test_an_empty_text_is_no_difference(change: dict[str, Any]) -> None:
    contents = [read_content(change | {"test_plan": text}, {"test_plan"}) for text in ("", None, " ")]
    assert changed_fields(contents[0], contents[1]) == set()
    assert changed_fields(contents[0], contents[2]) == {"test_plan"}


def test_differences_are_described_in_words(change: dict[str, Any]) -> None:
    web, db_server = (added(CmdbCi(name=name)) for name in ("web", "db"))
    template = add_template()
    before = read_content(change, GOVERNED_FIELDS)
    edits = {"implementation_plan": "Deploy twice", "start_date": AT.replace(hour=23), "risk": 2, "cmdb_ci": web}
    after = read_content(change | edits | {"std_change_producer_version": template}, GOVERNED_FIELDS)
    after = {**after, "task_ci": [db_server, "0" * 32], "sys_attachment": [["a.txt", "a" * 64]]}

    assert describe_differences(before, after) == [
        'Implementation plan changed from "Deploy" to "Deploy twice"',
        'Configuration item changed from nothing to "web"',
        'Planned start date changed from "2026-12-01 22:00:00" to "2026-12-01 23:00:00"',
        'Risk changed from "Moderate" to "High"',
        'Standard Change Template version changed from nothing to "Restart - 1"',
        f"Affected CIs: added db, added {'0' * 32}",
        "Attachments: added a.txt (SHA-256 aaaaaaaaaaaa…)",
    ]
    assert describe_differences(after, before)[-2] == f"Affected CIs: removed db, removed {'0' * 32}"


def test_a_file_with_other_bytes_is_a_difference() -> None:
    one, other = ({"sys_attachment": [["a.txt", digit * 64]]} for digit in "ab")
    assert describe_differences(one, other) == [
        f"Attachments: removed a.txt (SHA-256 {'a' * 12}…), added a.txt (SHA-256 {'b' * 12}…)"
    ]


def test_long_texts_are_shown_around_their_first_difference() -> None:
    old, new = ({"backout_plan": "x" * 500 + end + "y" * 500} for end in ("old\nend", "new"))
    [sentence] = describe_differences(old, new)
    assert f'from "…{"x" * 20}old endyyy' in sentence
    assert f'to "…{"x" * 20}newyyy' in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize(
    ("text", "field", "fields"),
    [
        (None, None, set(GOVERNED_FIELDS)),
        (" , ", None, set(GOVERNED_FIELDS)),
        ("backout_plan, task_ci", None, {"backout_plan", "task_ci"}),
        ("description", "assignment_group.manager", {"description", "assignment_group"}),
        (None, "assignment_group", {*GOVERNED_FIELDS, "assignment_group"}),
    ],
)
def test_a_rule_governs_its_fields_and_the_one_that_names_the_approvers(
    text: str | None, field: str | None, fields: set[str]
) -> None:
    assert parse_governed_fields(text, field) == fields


@pytest.mark.parametrize("name", ["plan", "source_email", "user_password"])
def test_an_unknown_or_private_field_cannot_be_governed(name: str) -> None:
    with pytest.raises(InputInvalid, match=f"no field {name} of a change"):
        parse_governed_fields(f"backout_plan,{name}")


@pytest.mark.parametrize("name", ["state", "approval", "active", "sys_mod_count", "sys_updated_on", "conflict_status"])
def test_a_field_that_the_process_writes_cannot_be_governed(name: str) -> None:
    with pytest.raises(InputInvalid, match=f"{name} is written by the process"):
        parse_governed_fields(f"sys_attachment,{name}")
