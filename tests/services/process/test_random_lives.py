"""Random calls by random people and tokens, compared with an oracle that shares nothing with the product."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from changegate import create_app
from changegate.extensions import db
from changegate.services.evidence.verification import verify
from tests.conftest import ADMIN_PASSWORD
from tests.services.process import lives_desk
from tests.services.process.lives_desk import (
    CAB,
    CHANGE,
    GROUPS,
    INITIATORS,
    OWN_MODEL,
    PEOPLE,
    PIPELINE,
    WAYS,
    WORKERS,
    Desk,
)
from tests.services.process.oracle import (
    ASSESS,
    AUTHORIZE,
    CANCELED,
    CLOSED,
    GROUP,
    IMPLEMENT,
    OWN,
    PEER_CHECK,
    PLAN,
    REVIEW,
    RISK,
    SCHEDULED,
    STATES,
    Change,
    Task,
)
from tests.support.postgres import prepared_database_of_postgres

TYPES = ("normal", "emergency", "standard")
KINDS = ("normal", "normal", OWN, OWN, "emergency", "emergency", "standard")
ANSWERS = ("approved", "approved", "approved", "rejected")
# What callers do, as often as it is listed. Half of it brings a change forward, so that lives reach every state.
ACTIONS = (
    *("make_progress", "make_progress", "make_progress", "make_a_possible_move", "move", "note_the_result"),
    *("edit_the_plan", "edit_the_plan", "edit_the_risk", "assign", "change_the_type", "be_unauthorized"),
    *("hold", "release", "release", "add_a_task", "close_a_task", "close_a_task"),
    *("answer", "answer", "answer", "answer_by_token", "answer_as_delegate", "answer_as_administrator"),
    *("answer_unasked", "answer_for_another_person", "delegate", "leave_or_return", "leave_or_return", "join_or_leave"),
)
# With `--hypothesis-profile=search`: many examples, and others each time.
IS_SEARCH = settings.get_current_profile_name() == "search"
SETTINGS = settings(
    max_examples=300 if IS_SEARCH else 6,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def desk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes
) -> Iterator[Desk]:
    """An instance for all lives, on each database."""
    folder = tmp_path_factory.mktemp("lives")
    overrides = {"admin_password": ADMIN_PASSWORD, "jwks_allow_loopback": "1", "ratelimit_enabled": "0"}
    overrides |= {"base_url": "https://change.example.com"}
    with ExitStack() as stack:
        if request.param == "postgresql":
            overrides["database_url"] = stack.enter_context(prepared_database_of_postgres())
        else:
            (folder / "changegate.db").write_bytes(prepared_database)
        app = create_app(instance_path=folder, overrides=overrides)
        yield Desk(app, stack)
        with app.app_context():
            db.session.close()
            db.engine.dispose()


def editor_of(worker: str) -> str:
    """Return the person who edits: the one behind the token, for that of the pipeline."""
    return "mo" if worker == PIPELINE else worker


class Lives(RuleBasedStateMachine):
    """Changes, one after the other, what callers do with them, and what the oracle expects."""

    desk: Desk
    change: Change

    def __init__(self) -> None:
        super().__init__()
        self.people = lives_desk.new_people()
        self.edits = 0

    @initialize(kind=st.sampled_from(KINDS), worker=st.sampled_from(WORKERS), at=st.integers(0, 59))
    def begin(self, kind: str, worker: str, at: int) -> None:
        self._create(kind, worker, at)

    @rule(
        action=st.sampled_from(ACTIONS),
        worker=st.sampled_from(WORKERS),
        at=st.integers(0, 59),
        way=st.sampled_from(WAYS),
    )
    def act(self, action: str, worker: str, at: int, way: str) -> None:
        """Do something in one of the ways to write; `at` chooses its details. Another change follows one that ended."""
        if self.change.is_final and at % 5:
            self._create(KINDS[at % len(KINDS)], worker, at)
        else:
            getattr(self, action)(worker, at, way)

    def _create(self, kind: str, worker: str, at: int) -> None:
        worker = "alice" if worker in self.people.absent else worker
        group = ("Network", "Storage", "")[at % 3] or ("Network" if kind == "standard" else "")
        risk, is_unauthorized = (2, 4, 3, 4)[at % 4], kind == "emergency" and at % 5 < 2
        fields = {"short_description": "Random", "risk": str(risk), GROUP: self.desk.groups.get(group, "")}
        fields |= {"chg_model": OWN_MODEL} if kind == OWN else {"type": kind}
        fields |= {"std_change_producer_version": self.desk.template} if kind == "standard" else {}
        fields |= {"unauthorized": "true"} if is_unauthorized else {}
        status, record = self.desk.send(worker, "POST", "/api/now/table/change_request", fields)
        assert status == 201, record
        self.sys_id = record["sys_id"]
        initiators = INITIATORS.get(worker, frozenset({worker}))
        kind, has_own_model = ("normal" if kind == OWN else kind), kind == OWN
        self.change = Change(self.people, kind, initiators, has_own_model, group, risk, is_unauthorized)

    # Writes of the change.

    def move(self, worker: str, at: int, way: str) -> None:
        to = STATES[at % len(STATES)]
        self._write(worker, way, lambda: self.change.move(to), state=str(to))

    def make_a_possible_move(self, worker: str, at: int, way: str) -> None:
        # Canceled is possible in almost every state, and ends a life early: it is the last choice.
        possible = sorted((to for to in STATES if self.change.may_move(to)), key=lambda to: (to == CANCELED, -to))
        if possible:
            self.move(worker, STATES.index(possible[at % len(possible)]), way)

    def make_progress(self, worker: str, at: int, way: str) -> None:
        """Do what the change waits for."""
        change = self.change
        forward = [
            to for to in (ASSESS, AUTHORIZE, SCHEDULED, PEER_CHECK, IMPLEMENT, REVIEW, CLOSED) if change.may_move(to)
        ]
        if change.on_hold:
            self.release(worker, at, way)
        elif not change.group:
            self.assign(worker, at, way)
        elif change.waiting():
            self.answer(worker, 0, way)
        elif change.state in {IMPLEMENT, REVIEW} and any(task.is_open for task in change.tasks):
            self.close_a_task(worker, at, way)
        elif forward:
            self.move(worker, STATES.index(forward[at % len(forward)]), way)
        elif change.state == REVIEW:
            self.note_the_result(worker, at, way)

    def assign(self, worker: str, at: int, way: str) -> None:
        group = GROUPS[at % len(GROUPS)]
        if self.change.state < IMPLEMENT:
            fields = {GROUP: self.desk.groups[group]}
            self._write(worker, way, lambda: self.change.put("group", group, GROUP, editor_of(worker)), **fields)

    def edit_the_risk(self, worker: str, at: int, way: str) -> None:
        risk = (2, 3, 4)[at % 3]
        self._write(worker, way, lambda: self.change.put("risk", risk, RISK, editor_of(worker)), risk=str(risk))

    def edit_the_plan(self, worker: str, at: int, way: str) -> None:
        self.edits += 1
        self._write(
            worker, way, lambda: self.change.edit(PLAN, by=editor_of(worker)), implementation_plan=f"Plan {self.edits}"
        )

    def change_the_type(self, worker: str, at: int, way: str) -> None:
        kind = TYPES[at % len(TYPES)]
        self._write(worker, way, lambda: self.change.set_type(kind), type=kind)

    def be_unauthorized(self, worker: str, at: int, way: str) -> None:
        self._write(worker, way, self.change.set_unauthorized, unauthorized="true")

    def hold(self, worker: str, at: int, way: str) -> None:
        if not self.change.on_hold:
            self._write(worker, way, self.change.hold, on_hold="true", on_hold_reason="Parts")

    def release(self, worker: str, at: int, way: str) -> None:
        if self.change.on_hold:
            self._write(worker, way, self.change.release, on_hold="false")

    def note_the_result(self, worker: str, at: int, way: str) -> None:
        self._write(worker, way, self.change.note_the_result, close_code="successful", close_notes="Done")

    # Answers: one by the Table API or a batch, or all of the caller by the Change Management API.

    def answer(self, worker: str, at: int, way: str) -> None:
        if self.change.waiting():
            person = self._pick(at // 4)
            self._answer(person, person, ANSWERS[at % 4], way)

    def answer_by_token(self, worker: str, at: int, way: str) -> None:
        if self.change.waiting():
            person, is_scoped = self._pick(at // 4), at % 4 != 0
            token = f"{'scoped' if is_scoped else 'general'} {person}"
            self._answer(token, person, "approved", way, may_answer=is_scoped)

    def answer_as_delegate(self, worker: str, at: int, way: str) -> None:
        delegate = PEOPLE[at % len(PEOPLE)]
        approvers = [name for _, name in self.change.waiting() if self.change.may_answer_for(delegate, name)]
        if approvers:
            self._answer(delegate, approvers[0], "approved", way)

    def answer_as_administrator(self, worker: str, at: int, way: str) -> None:
        if self.change.waiting() and way != CHANGE:
            self._answer("admin", self.change.waiting()[0][1], "approved", way)

    def answer_unasked(self, worker: str, at: int, way: str) -> None:
        person = PEOPLE[at % len(PEOPLE)]
        self._answer(person, person, "approved", way)

    def answer_for_another_person(self, worker: str, at: int, way: str) -> None:
        name = (*PEOPLE, PIPELINE)[at % 10]
        caller = f"scoped {name}" if at >= 30 and name != PIPELINE else name
        for row in self._open_rows():
            approver = self._name_of(row)
            if approver != name and (
                name == PIPELINE or caller != name or not self.change.may_answer_for(name, approver, int(row["stage"]))
            ):
                path = f"/api/now/table/sysapproval_approver/{row['sys_id']}"
                status, refusal = self.desk.send(caller, "PATCH", path, {"state": "approved"})
                assert status in ({401} if name in self.people.absent else {403, 404}), (status, refusal)

    # People.

    def leave_or_return(self, worker: str, at: int, way: str) -> None:
        """Deactivate or lock an account, or let it be usable again."""
        name, field = self._pick(at // 2), ("active", "locked_out")[at % 2]
        if name in {"alice", "bob"}:
            return
        self.people.absent ^= {name}
        values = {"active": "true", "locked_out": "false"}
        if name in self.people.absent:
            values[field] = "false" if field == "active" else "true"
        self.desk.write("PATCH", f"sys_user/{self.desk.users[name]}", **values)
        self._follow({name} | self.change.mates_of(name))

    def join_or_leave(self, worker: str, at: int, way: str) -> None:
        name, group = ("mia", "mo", "cara", "carl", "dora", "bob")[at % 6], (*GROUPS, CAB)[at // 6 % 3]
        members = self.people.members.get(group, self.people.cab)
        (self.desk.leave if name in members else self.desk.join)(group, name)
        # Members before and afterwards may be concerned.
        before = {*members}
        members ^= {name}
        self._follow({name, *members, *before} | self.change.mates_of(name))

    def delegate(self, worker: str, at: int, way: str) -> None:
        user, delegate = ("mia", "cara", "carl", "boss")[at % 4], ("dora", "bob", "alba", "mia")[at // 4 % 4]
        if user != delegate and not {user, delegate} & self.people.absent:
            self.people.delegations.add((user, delegate))
            times = {"starts": "2020-01-01 00:00:00", "ends": "2099-01-01 00:00:00"}
            self.desk.write("POST", "sys_user_delegate", user=user, delegate=delegate, **times)

    # Tasks.

    def add_a_task(self, worker: str, at: int, way: str) -> None:
        if self.change.is_final or self.change.on_hold or worker in self.people.absent:
            return
        fields = {"short_description": "By hand", "change_request": self.sys_id}
        path = f"/api/sn_chg_rest/change/{self.sys_id}/task" if way == CHANGE else "/api/now/table/change_task"
        status, record = self.desk.send(worker, "POST", path, fields)
        assert status == (200 if way == CHANGE else 201), record
        self.change.tasks.append(Task())

    def close_a_task(self, worker: str, at: int, way: str) -> None:
        """Close a task, or cancel it, by hand."""
        active = [task for task in self.change.tasks if task.is_open]
        if not active:
            return
        task, is_canceled = active[at // 5 % len(active)], at % 5 == 0
        kind = f"created_from={'workflow' if task.is_from_process else 'manual'}"
        kind += f"^change_task_type{'=' if task.is_review else '!='}review"
        row = self.desk.list("change_task", f"change_request={self.sys_id}^active=true^{kind}")[0]
        body = {"state": "4" if is_canceled else "3", "close_code": "successful", "close_notes": "Done"}
        answer = self.desk.write_change(worker, way, "PATCH", f"change_task/{row['sys_id']}", body)
        self._expect_of(worker, way, lambda: self.change.close_task(task, is_canceled=is_canceled), answer)

    # What must hold after each of them.

    @invariant()
    def the_change_is_as_expected(self) -> None:
        status, record = self.desk.send("admin", "GET", f"/api/now/table/change_request/{self.sys_id}")
        assert status == 200
        seen = tuple(record[name] for name in ("state", "approval", "on_hold", "active", "type"))
        change = self.change
        flags = [str(flag).lower() for flag in (change.on_hold, not change.is_final)]
        assert seen == (str(change.state), change.approval, *flags, change.type), change
        waiting = [] if change.on_hold else change.waiting()
        assert sorted((int(row["stage"]), self._name_of(row)) for row in self._open_rows()) == waiting, change
        open_tasks = self.desk.list("change_task", f"change_request={self.sys_id}^active=true")
        assert len(open_tasks) == sum(task.is_open for task in change.tasks), change

    @invariant()
    def the_moves_and_blockers_are_as_expected(self) -> None:
        path = f"/api/sn_chg_rest/change/{self.sys_id}"
        status, shown = self.desk.send("alice", "GET", f"{path}/nextstates")
        assert status == 200, shown
        moves = [move for moves in shown["state_transitions"] for move in moves if not move["automatic_transition"]]
        available = {int(move["to_state"]) for move in moves if move["transition_available"]}
        assert available == {to for to in STATES if self.change.may_move(to)}, self.change
        status, blockers = self.desk.send("alice", "GET", f"{path}/blockers")
        assert status == 200 and bool(blockers) != self.change.is_final, (blockers, self.change)

    def teardown(self) -> None:
        """End the change, and bring everybody back for the next one."""
        if not hasattr(self, "change"):
            return
        for name in self.people.absent:
            self.desk.write("PATCH", f"sys_user/{self.desk.users[name]}", active="true", locked_out="false")
        self.desk.write_change("admin", "table", "PATCH", f"change_request/{self.sys_id}", {"state": "4"})
        for row in self.desk.list("sys_user_delegate", "ends>2000-01-01"):
            self.desk.delete(f"sys_user_delegate/{row['sys_id']}")
        fresh = lives_desk.new_people()
        for group in (*GROUPS, CAB):
            now, then = (each.members.get(group, each.cab) for each in (self.people, fresh))
            for name in now - then:
                self.desk.leave(group, name)
            for name in then - now:
                self.desk.join(group, name)
        self.desk.run_jobs()

    def _follow(self, names: set[str]) -> None:
        self.desk.run_jobs()
        self.change.follow(names)

    def _answer(self, caller: str, approver: str, answer: str, way: str, *, may_answer: bool = True) -> None:
        """Answer an approval of an approver, and expect the same as the oracle."""
        rows = [row for row in self._open_rows() if self._name_of(row) == approver]
        body = {"state": answer, "comments": "As seen"}
        if way == CHANGE:
            path = f"/api/sn_chg_rest/change/{self.sys_id}/approvals"
            status, content = self.desk.send(caller, "PATCH", path, body)
        elif rows:
            path = f"sysapproval_approver/{rows[0]['sys_id']}"
            status, content = self.desk.write_change(caller, way, "PATCH", path, body)
        else:
            return
        name = caller.removeprefix("scoped ").removeprefix("general ")
        if name in self.people.absent:
            assert status == 401, (status, content)
        elif not may_answer:
            assert status in {400, 403, 404}, (status, content)
        elif way == CHANGE:
            is_allowed = self.change.answer(self._answered_by(caller), answer, by=name)
            # The scope does not read changes: a caller who is not asked does not learn whether the change exists.
            is_hidden = status == 404 and caller != name
            self._expect(is_allowed, way, 403 if is_hidden else status, content)
        else:
            is_allowed = self.change.answer({approver}, answer, int(rows[0]["stage"]), by=name)
            self._expect(is_allowed, way, status, content)

    def _answered_by(self, caller: str) -> set[str]:
        """Return whose approvals a caller answers by the Change Management API: their own, or else as a delegate."""
        name, waiting = caller.removeprefix("scoped "), {approver for _, approver in self.change.waiting()}
        if name in waiting:
            return {name}
        # A token represents its subject, and answers for no other user.
        return {each for each in waiting if name == caller and self.change.may_answer_for(name, each)}

    def _pick(self, at: int) -> str:
        """Return one of the people who are or were asked, or have left."""
        waiting = {name for _, name in self.change.waiting()}
        names = [*sorted(waiting), *sorted((self.change.asked | self.people.absent) - waiting), "dora"]
        return names[at % len(names)]

    def _open_rows(self) -> list[dict[str, Any]]:
        return self.desk.list("sysapproval_approver", f"sysapproval={self.sys_id}^state=requested^ORDERBYsys_id")

    def _name_of(self, row: dict[str, Any]) -> str:
        return next(name for name, sys_id in self.desk.users.items() if sys_id == row["approver"])

    def _write(self, caller: str, way: str, expected: Callable[[], bool | None], **fields: str) -> None:
        """Write fields of the change, and expect what the oracle expects."""
        path = f"change_request/{self.sys_id}"
        self._expect_of(caller, way, expected, self.desk.write_change(caller, way, "PATCH", path, fields))

    def _expect_of(self, caller: str, way: str, expected: Callable[[], bool | None], answer: tuple[int, Any]) -> None:
        if caller in self.people.absent:
            assert answer[0] == 401, answer
        else:
            self._expect(expected() is not False, way, *answer)

    def _expect(self, is_allowed: bool, way: str, status: int, content: Any) -> None:
        refused = {400, 403} if way == CHANGE else {403}
        assert status in ({200} if is_allowed else refused), (status, content, self.change)
        if not is_allowed:
            error = content["error"]
            assert error["detail"] or error["message"], content


def test_random_lives_are_as_the_oracle_expects(desk: Desk) -> None:
    machine = type("Machine", (Lives,), {"desk": desk})
    run_state_machine_as_test(machine, settings=SETTINGS)
    with desk.app.app_context():
        assert [each for each in verify().observations if each.is_problem] == []
