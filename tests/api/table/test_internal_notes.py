"""Requesters learn nothing of work notes, and users without a role for it nothing of others' roles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import SysUserHasRole
from changegate.services.users.accounts import create_user
from tests.conftest import basic
from tests.support.table_api import CHANGES, TableApi, result_of
from tests.support.token_desk import TokenDesk

NOTE, COMMENT = "INTERNAL-NOTE", "PUBLIC-COMMENT"
PASSWORD = "itil itil itil"
TABLES = "/api/now/table"
JOURNAL, HAS_ROLE = f"{TABLES}/sys_journal_field", f"{TABLES}/sys_user_has_role"
READERS = ("itil", "sn_change_read", "sn_change_write", "change_manager", "admin")
Acting = Callable[..., "Reader"]


@dataclass
class Reader:
    """A user who reads over HTTP."""

    app: Flask
    sys_id: str
    name: str

    def get(self, path: str) -> Any:
        """Answer the result of a GET that succeeds."""
        with self.app.app_context():
            answer = self.app.test_client().get(path, headers=basic(self.name, PASSWORD))
        assert answer.status_code == 200, answer.text
        return result_of(answer)


@pytest.fixture
def acting(either_app: Flask) -> Acting:
    def act(name: str, *roles: str) -> Reader:
        with either_app.app_context():
            user = create_user(user_name=name, password=PASSWORD, email=None, name=None, roles=list(roles))
            db.session.commit()
            return Reader(either_app, user.sys_id, name)

    return act


@pytest.fixture
def requester(acting: Acting) -> Reader:
    return acting("plain")


@pytest.fixture
def change(either_app: Flask, acting: Acting, requester: Reader) -> str:
    """Add a change that the requester asked for, with a note and a comment, and a child of it."""
    acting("root", "admin")
    with either_app.app_context():
        api = TableApi(either_app.test_client(), basic("root", PASSWORD), CHANGES)
        made = api.created(requested_by="plain", work_notes=NOTE, comments=COMMENT)
        api.created(requested_by="plain", parent=made["sys_id"])
    return str(made["sys_id"])


SHOWN = ("true", "all", "false")


@pytest.mark.parametrize("shown", SHOWN)
def test_a_requester_reads_comments_and_no_work_notes(change: str, requester: Reader, shown: str) -> None:
    pages = [
        requester.get(f"{TABLES}/{table}/{change}?sysparm_display_value={shown}")
        for table in ("task", "change_request")
    ]
    fields = "parent.work_notes,parent.comments_and_work_notes,parent.comments,comments"
    pages += requester.get(f"{CHANGES}?sysparm_display_value={shown}&sysparm_fields={fields}")
    assert NOTE not in str(pages)
    assert (COMMENT in str(pages)) is (shown != "false")
    assert all("work_notes" in page for page in pages[:2])


def test_a_requester_reads_the_combined_journal_without_notes(change: str, requester: Reader) -> None:
    record = requester.get(f"{CHANGES}/{change}?sysparm_display_value=true")
    assert COMMENT in record["comments_and_work_notes"] and record["work_notes"] == ""


@pytest.mark.parametrize("role", READERS)
def test_users_who_work_on_changes_read_both(change: str, acting: Acting, role: str) -> None:
    record = acting("worker", role).get(f"{CHANGES}/{change}?sysparm_display_value=true")
    assert NOTE in record["work_notes"] and NOTE in record["comments_and_work_notes"]
    assert len(acting("other", role).get(f"{JOURNAL}?sysparm_query=element=work_notes")) == 1


INQUIRIES = {
    "rows": f"{JOURNAL}?sysparm_query=element=work_notes",
    "text": f"{JOURNAL}?sysparm_query=valueLIKEINTERNAL",
    "full text": f"{JOURNAL}?sysparm_query=123TEXTQUERY321=INTERNAL-NOTE",
    "change text": f"{CHANGES}?sysparm_query=123TEXTQUERY321=INTERNAL-NOTE",
    "task text": f"{TABLES}/task?sysparm_query=123TEXTQUERY321=INTERNAL-NOTE",
}


@pytest.mark.parametrize("path", INQUIRIES.values(), ids=INQUIRIES)
def test_no_query_reveals_work_notes_to_a_requester(change: str, requester: Reader, path: str) -> None:
    assert requester.get(path) == []


def test_no_order_or_condition_on_the_field_reveals_it(change: str, requester: Reader) -> None:
    asked = ("work_notesLIKEINTERNAL", "work_notesLIKEnothing", "parent.work_notesLIKEINTERNAL", "ORDERBYwork_notes")
    answers = [requester.get(f"{CHANGES}?sysparm_fields=sys_id&sysparm_query={quote(query)}") for query in asked]
    assert all(len(answer) == 2 for answer in answers)


def test_no_figure_counts_work_notes_for_a_requester(change: str, requester: Reader) -> None:
    stats = "/api/now/stats/sys_journal_field?sysparm_count=true"
    assert requester.get(stats)["stats"]["count"] == "1"
    grouped = requester.get(f"{stats}&sysparm_group_by=element&sysparm_max_fields=value")
    assert NOTE not in str(grouped) and "work_notes" not in str(grouped)


def test_a_note_s_own_row_is_not_found_by_its_sys_id(change: str, requester: Reader, acting: Acting) -> None:
    [note] = acting("worker", "itil").get(f"{JOURNAL}?sysparm_query=element=work_notes")
    with requester.app.app_context():
        answer = requester.app.test_client().get(f"{JOURNAL}/{note['sys_id']}", headers=basic("plain", PASSWORD))
    assert answer.status_code == 404


def test_roles_are_shown_to_their_holders_only(acting: Acting, requester: Reader) -> None:
    worker = acting("worker", "itil")
    assert [row["user"]["value"] for row in worker.get(HAS_ROLE)] == [worker.sys_id]
    assert requester.get(HAS_ROLE) == []
    assert requester.get("/api/now/stats/sys_user_has_role?sysparm_count=true")["stats"]["count"] == "0"


@pytest.mark.parametrize("role", ["admin", "oauth_admin", "mi_admin"])
def test_integration_administrators_see_role_assignments(acting: Acting, role: str) -> None:
    assert len(acting("trusted", role).get(HAS_ROLE)) >= 2


@pytest.mark.parametrize("role", [(), ("itil",), ("change_manager",)])
def test_no_count_of_related_records_reveals_administrators(acting: Acting, role: tuple[str, ...]) -> None:
    plain = acting("curious", *role)
    inner = "RLQUERYsys_user_has_role.user,>=1^role.name=admin^ENDRLQUERY"
    assert plain.get(f"{TABLES}/sys_user?sysparm_query={quote(inner)}") == []
    of_role = "RLQUERYsys_user_has_role.role,>=1^user.user_name=admin^ENDRLQUERY"
    assert plain.get(f"{TABLES}/sys_user_role?sysparm_query={quote(of_role)}") == []


def test_another_s_role_is_not_found_by_its_sys_id(either_app: Flask, requester: Reader) -> None:
    with either_app.app_context():
        one = db.session.execute(select(SysUserHasRole.sys_id)).scalars().first()
        answer = either_app.test_client().get(f"{HAS_ROLE}/{one}", headers=basic("plain", PASSWORD))
    assert answer.status_code == 404


def test_a_token_learns_no_roles_from_another_table(either_desk: TokenDesk) -> None:
    inner = quote("RLQUERYsys_user_has_role.user,>=1^role.name=admin^ENDRLQUERY")
    token = either_desk.token(either_desk.register(scopes=["useraccount"]))
    answer = either_desk.call(token, "GET", f"{TABLES}/sys_user?sysparm_query={inner}")
    assert result_of(answer) == []
