"""Random calls by random people, compared with an oracle that shares nothing with the product."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from changegate import create_app
from changegate.extensions import db
from changegate.services.evidence.verification import verify
from changegate.services.users.accounts import create_user
from tests.conftest import ADMIN_PASSWORD
from tests.services.process.oracle import FINAL, Change, Crew, Task

PASSWORD = "lives lives lives"
PEOPLE = ("alice", "bob", "mia", "mo", "boss", "cara", "carl")
WORKERS = ("alice", "bob", "mia")
STATES = (-5, -4, -3, -2, -1, 0, 3, 4)
CREW = Crew(frozenset({"mia", "mo", "boss"}), "boss", frozenset({"cara", "carl"}))
CREW_WITHOUT_MANAGER = Crew(frozenset({"mia", "mo"}), None, frozenset({"cara", "carl"}))
CREWS = {"Network": CREW, "Storage": CREW_WITHOUT_MANAGER}
TABLE = "/api/now/table"
# A failing life is short enough to read as it is.
SETTINGS = settings(
    max_examples=50,
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Desk:
    """An application with the people of the crews, and what they send."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self.groups: dict[str, str] = {}
        self.users: dict[str, str] = {}
        with app.app_context():
            for name in PEOPLE:
                user = create_user(user_name=name, password=PASSWORD, email=None, name=None, roles=["itil"])
                self.users[name] = user.sys_id
            db.session.commit()
        for name, crew in CREWS.items():
            manager = self.users[crew.manager] if crew.manager else ""
            self.groups[name] = self.add("sys_user_group", name=name, manager=manager)
            self.join(self.groups[name], crew.members)
        [cab] = self.list("sys_user_group", "name=CAB Approval")
        self.join(cab["sys_id"], CREW.cab)
        self.add("std_change_record_producer", name="Restart", template="type=standard^EQ")
        self.template = "Restart - 1"

    def join(self, group: str, names: frozenset[str]) -> None:
        for name in sorted(names):
            self.add("sys_user_grmember", group=group, user=self.users[name])

    def add(self, table: str, **fields: str) -> str:
        status, record = self.send("admin", "POST", table, fields)
        assert status == 201, record
        return str(record["sys_id"])

    def list(self, table: str, query: str) -> list[dict[str, str]]:
        status, records = self.send("admin", "GET", table, None, sysparm_query=query)
        assert status == 200, records
        found: list[dict[str, str]] = records
        return found

    def send(self, name: str, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        password = ADMIN_PASSWORD if name == "admin" else PASSWORD
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        answer = self.client.open(f"{TABLE}/{path}", method=method, json=body, query_string=params, headers=headers)
        said = answer.get_json(silent=True) or {}
        return answer.status_code, said.get("result", said)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("lives")
    (folder / "changegate.db").write_bytes(prepared_database)
    app = create_app(instance_path=folder, overrides={"admin_password": ADMIN_PASSWORD})
    yield Desk(app)
    with app.app_context():
        db.engine.dispose()


class Lives(RuleBasedStateMachine):
    """One change, what people do with it, and what the oracle expects of it."""

    desk: Desk

    @initialize(
        kind=st.sampled_from(["normal", "normal", "standard", "emergency"]),
        requester=st.sampled_from(WORKERS),
        group=st.sampled_from(["", *CREWS]),
        risk=st.sampled_from([2, 3, 4]),
    )
    def create(self, kind: str, requester: str, group: str, risk: int) -> None:
        fields = {"short_description": "Random", "type": kind, "risk": str(risk)}
        if kind == "standard":
            fields["std_change_producer_version"] = self.desk.template
            fields["assignment_group"] = self.desk.groups["Network"]
        elif group:
            fields["assignment_group"] = self.desk.groups[group]
        status, record = self.desk.send(requester, "POST", "change_request", fields)
        assert status == 201, record
        self.sys_id = record["sys_id"]
        has_group = bool(group) or kind == "standard"
        self.change = Change(kind, CREWS.get(group, CREW), requester, has_group=has_group, risk=risk)
        self.edits = 0

    @rule(person=st.sampled_from(WORKERS), to=st.sampled_from(STATES))
    def move(self, person: str, to: int) -> None:
        self._expect(self.change.move(to), *self._patch(person, state=str(to)))

    @precondition(lambda self: not self.change.has_group)
    @rule(person=st.sampled_from(WORKERS), group=st.sampled_from(list(CREWS)))
    def assign(self, person: str, group: str) -> None:
        self.change.has_group, self.change.crew = True, CREWS[group]
        self._expect(True, *self._patch(person, assignment_group=self.desk.groups[group]))

    @rule(person=st.sampled_from(PEOPLE), answer=st.sampled_from(["approved", "approved", "approved", "rejected"]))
    def answer(self, person: str, answer: str) -> None:
        rows = self.desk.list("sysapproval_approver", f"sysapproval={self.sys_id}^state=requested")
        mine = [row for row in rows if row["approver"]["value"] == self.desk.users[person]]  # type: ignore[index]
        expected = self.change.answer(person, answer)
        assert bool(mine) == expected or self.change.on_hold, (rows, self.change)
        if mine:
            path = f"sysapproval_approver/{mine[0]['sys_id']}"
            body = {"state": answer, "comments": "As seen"}
            self._expect(expected, *self.desk.send(person, "PATCH", path, body))

    @rule(other=st.sampled_from(PEOPLE))
    def answer_for_another_person(self, other: str) -> None:
        rows = self.desk.list("sysapproval_approver", f"sysapproval={self.sys_id}^state=requested")
        for row in rows:
            if row["approver"]["value"] != self.desk.users[other]:  # type: ignore[index]
                path = f"sysapproval_approver/{row['sys_id']}"
                status, said = self.desk.send(other, "PATCH", path, {"state": "approved"})
                assert status in {403, 404}, said

    @rule(person=st.sampled_from(WORKERS))
    def hold(self, person: str) -> None:
        if not self.change.on_hold:
            self._expect(self.change.hold(), *self._patch(person, on_hold="true", on_hold_reason="Parts"))

    @precondition(lambda self: self.change.on_hold)
    @rule(person=st.sampled_from(WORKERS))
    def release(self, person: str) -> None:
        self._expect(self.change.release(), *self._patch(person, on_hold="false"))

    @precondition(lambda self: self.change.state not in FINAL)
    @rule(person=st.sampled_from(WORKERS))
    def note_the_result(self, person: str) -> None:
        self.change.has_close_code = True
        self._expect(True, *self._patch(person, close_code="successful", close_notes="Done"))

    @precondition(lambda self: self.change.state not in FINAL and not self.change.on_hold)
    @rule(person=st.sampled_from(WORKERS))
    def add_a_task(self, person: str) -> None:
        fields = {"short_description": "By hand", "change_request": self.sys_id}
        status, record = self.desk.send(person, "POST", "change_task", fields)
        assert status == 201, record
        self.change.tasks.append(Task())

    @precondition(lambda self: self.change.state not in FINAL)
    @rule(person=st.sampled_from(WORKERS))
    def edit_the_plan(self, person: str) -> None:
        self.edits += 1
        self.change.edit()
        self._expect(True, *self._patch(person, implementation_plan=f"Plan {self.edits}"))

    @precondition(lambda self: any(task.is_open for task in self.change.tasks))
    @rule(person=st.sampled_from(WORKERS), by_process=st.booleans())
    def close_a_task(self, person: str, by_process: bool) -> None:
        wanted = [t for t in self.change.tasks if t.is_open and t.is_from_process == by_process]
        if not wanted:
            return
        origin = "workflow" if by_process else "manual"
        rows = self.desk.list("change_task", f"change_request={self.sys_id}^active=true^created_from={origin}")
        assert len(rows) == len(wanted), (rows, self.change)
        body = {"state": "3", "close_code": "successful", "close_notes": "Done"}
        self._expect(True, *self.desk.send(person, "PATCH", f"change_task/{rows[0]['sys_id']}", body))
        self.change.close_task(wanted[0])

    @invariant()
    def the_change_is_as_expected(self) -> None:
        if not hasattr(self, "change"):
            return
        status, record = self.desk.send("admin", "GET", f"change_request/{self.sys_id}")
        assert status == 200
        seen = (record["state"], record["approval"], record["on_hold"], record["active"])
        active = "false" if self.change.state in FINAL else "true"
        assert seen == (str(self.change.state), self.change.approval, str(self.change.on_hold).lower(), active), (
            self.change
        )
        rows = self.desk.list("sysapproval_approver", f"sysapproval={self.sys_id}^state=requested")
        names = {sys_id: name for name, sys_id in self.desk.users.items()}
        asked = {names[row["approver"]["value"]] for row in rows}  # type: ignore[index]
        assert asked == (frozenset() if self.change.on_hold else self.change.waiting()), self.change
        open_tasks = self.desk.list("change_task", f"change_request={self.sys_id}^active=true")
        assert len(open_tasks) == sum(task.is_open for task in self.change.tasks), self.change

    def _patch(self, person: str, **fields: str) -> tuple[int, Any]:
        return self.desk.send(person, "PATCH", f"change_request/{self.sys_id}", fields)

    def _expect(self, is_allowed: bool, status: int, said: Any) -> None:
        assert status == (200 if is_allowed else 403), (status, said, self.change)
        if not is_allowed:
            assert said["error"]["detail"], said


def test_random_lives_are_as_the_oracle_expects(desk: Desk) -> None:
    machine = type("Machine", (Lives,), {"desk": desk})
    run_state_machine_as_test(machine, settings=SETTINGS)
    with desk.app.app_context():
        assert verify().is_clean
