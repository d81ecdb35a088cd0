"""An instance with people, groups, tokens, and a model of its own, and the ways in which callers reach it."""

import base64
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import orjson
from flask import Flask

from changegate.extensions import db
from changegate.services.jobs.leases import claim
from changegate.services.jobs.worker import execute
from changegate.services.users.accounts import create_user
from tests.conftest import ADMIN_PASSWORD
from tests.services.process.oracle import ABANDONED, IMPLEMENT, PEER_CHECK, SCHEDULED, People
from tests.support.token_desk import ISSUER, ROBOT, token_desk

PASSWORD = "lives lives lives"
PEOPLE = ("alba", "alice", "bob", "boss", "cara", "carl", "dora", "mia", "mo")
# A token that creates and moves changes. Its subject belongs to mo, who therefore does not approve them.
PIPELINE = "pipeline"
WORKERS = ("alice", "bob", "mia", PIPELINE)
INITIATORS = {PIPELINE: frozenset({ROBOT, "mo"})}
GROUPS = ("Network", "Storage")
CAB = "CAB Approval"
OWN_MODEL = "Checked by peers"
# The ways to write a record: the Table API, the Change Management API, and a batch.
TABLE, CHANGE, BATCH = WAYS = ("table", "change", "batch")


def new_people() -> People:
    members = {"Network": {"mia", "mo", "boss"}, "Storage": {"mia", "mo"}}
    managers = {"Network": "boss", "Storage": None}
    return People(members, managers, {"cara", "carl", "alba"}, {"alba": "alice"})


class Desk:
    """An application with the people of the oracle, and what they send."""

    def __init__(self, app: Flask, stack: ExitStack) -> None:
        self.app = app
        self.client = app.test_client()
        self.tokens = stack.enter_context(token_desk(app))
        with app.app_context():
            people = [
                create_user(user_name=name, password=PASSWORD, email=None, name=None, roles=["itil"]) for name in PEOPLE
            ]
            self.users = {name: user.sys_id for name, user in zip(PEOPLE, people, strict=True)}
            db.session.commit()
        for name in ("alice", "alba"):
            self.write("PATCH", f"sys_user/{self.users[name]}", employee_number="7")
        self.write("POST", "sys_user_identity", user="mo", issuer=ISSUER, subject="build-42")
        people_now = new_people()
        self.groups = {name: self._add_group(name, people_now) for name in GROUPS}
        [cab] = self.list("sys_user_group", f"name={CAB}")
        self.groups[CAB] = cab["sys_id"]
        for group, names in {**people_now.members, CAB: people_now.cab}.items():
            for name in sorted(names):
                self.join(group, name)
        self.write("POST", "std_change_record_producer", name="Restart", template="type=standard^EQ")
        self.template = "Restart - 1"
        self._add_model()
        self.bearers = self._tokens()

    def _add_group(self, name: str, people: People) -> str:
        return self.write("POST", "sys_user_group", name=name, manager=people.managers[name] or "")

    def _add_model(self) -> None:
        """Copy Normal, and add a check of peers between Scheduled and Implement, and a final state."""
        for value, label in ((PEER_CHECK, "Peer check"), (ABANDONED, "Abandoned")):
            choice = {"name": "change_request", "element": "state", "value": str(value), "label": label}
            self.write("POST", "sys_choice", **choice)
        model = self.write("POST", "chg_model", name=OWN_MODEL, copied_from="Normal", active="false")
        shipped = {int(row["state_value"]): row["sys_id"] for row in self.list("sttrm_state", f"sttrm_model={model}")}
        states = shipped | {
            value: self.write("POST", "sttrm_state", sttrm_model=model, state_value=str(value), state_label=str(value))
            for value in (PEER_CHECK, ABANDONED)
        }
        steps = ((SCHEDULED, PEER_CHECK), (PEER_CHECK, IMPLEMENT), (PEER_CHECK, ABANDONED), (PEER_CHECK, 4))
        for step in steps:
            ends = dict(zip(("from_state", "to_state"), (states[each] for each in step), strict=True))
            move = self.write("POST", "sttrm_state_transition", sttrm_model=model, name=f"{step}", **ends)
            for name in ("Not On hold", "No approval is missing")[: {PEER_CHECK: 1, IMPLEMENT: 2}.get(step[1], 0)]:
                self._copy_condition(move, name)
        # A state of a copy has the fields that the shipped one makes mandatory; a new one must name them.
        self.write("PATCH", f"sttrm_state/{states[PEER_CHECK]}", mandatory_fields="assignment_group")
        self.write("PATCH", f"chg_model/{model}", active="true")

    def _copy_condition(self, move: str, name: str) -> None:
        shipped = self.list("sttrm_transition_condition", f"name={name}")[0]
        fields = {key: shipped[key] for key in ("name", "condition", "description")}
        self.write("POST", "sttrm_transition_condition", transition=move, **fields)

    def _tokens(self) -> dict[str, str]:
        """Return tokens: that of the pipeline, and those by which people answer, with and without the scope."""
        pipeline = self.tokens.register(scopes=["useraccount"])
        mapped: dict[str, Any] = {"run_as": ..., "user_field": "user_name"}
        scoped = self.tokens.register("Answers", scopes=["approval.answer"], **mapped)
        general = self.tokens.register("Everything", scopes=["useraccount"], **mapped)
        bearers = {PIPELINE: self.tokens.token(pipeline)}
        for name in PEOPLE:
            for prefix, integration in (("scoped", scoped), ("general", general)):
                assertion = self.tokens.assertion(sub=name)
                bearers[f"{prefix} {name}"] = self.tokens.token(integration, assertion=assertion)
        return bearers

    def join(self, group: str, name: str) -> None:
        self.write("POST", "sys_user_grmember", group=self.groups[group], user=name)

    def leave(self, group: str, name: str) -> None:
        [row] = self.list("sys_user_grmember", f"group={self.groups[group]}^user={self.users[name]}")
        self.delete(f"sys_user_grmember/{row['sys_id']}")

    def write(self, method: str, path: str, **fields: str) -> str:
        """Write a record as the administrator, and return its sys_id."""
        status, record = self.send("admin", method, f"/api/now/table/{path}", fields)
        assert status in {200, 201}, record
        return str(record["sys_id"])

    def delete(self, path: str) -> None:
        status, refusal = self.send("admin", "DELETE", f"/api/now/table/{path}")
        assert status == 204, refusal

    def list(self, table: str, query: str) -> list[dict[str, Any]]:
        params = {"sysparm_query": query, "sysparm_exclude_reference_link": "true"}
        status, records = self.send("admin", "GET", f"/api/now/table/{table}", None, **params)
        assert status == 200, records
        found: list[dict[str, Any]] = records
        return found

    def write_change(self, name: str, way: str, method: str, path: str, body: Mapping[str, str]) -> tuple[int, Any]:
        """Write a change, or a task of one, in one of the ways; `path` is below the table of the Table API."""
        url = f"/api/now/table/{path}"
        if way == BATCH:
            return self._send_in_batch(name, method, url, body)
        if way == CHANGE:
            table, _, rest = path.partition("/")
            url = f"/api/sn_chg_rest/change/{rest}" if table == "change_request" else self._path_of_task(rest)
        return self.send(name, method, url, body)

    def _path_of_task(self, task: str) -> str:
        [row] = self.list("change_task", f"sys_id={task}")
        return f"/api/sn_chg_rest/change/{row['change_request']}/task/{task}"

    def _send_in_batch(self, name: str, method: str, url: str, body: Mapping[str, str]) -> tuple[int, Any]:
        headers = [{"name": "Content-Type", "value": "application/json"}]
        encoded = base64.b64encode(orjson.dumps(body)).decode()
        item = {"id": "1", "method": method, "url": url, "body": encoded, "headers": headers}
        status, answer = self.send(
            name, "POST", "/api/now/v1/batch", {"batch_request_id": "1", "rest_requests": [item]}
        )
        if status != 200:
            return status, answer
        [served] = answer["serviced_requests"]
        content = orjson.loads(base64.b64decode(served["body"]))
        return served["status_code"], content.get("result", content)

    def send(self, name: str, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        """Send a request as a person, as the administrator, or with one of the tokens."""
        answer = self.client.open(path, method=method, json=body, query_string=params, headers=self._headers(name))
        content = answer.get_json(silent=True) or {}
        return answer.status_code, content.get("result", content)

    def _headers(self, name: str) -> dict[str, str]:
        if name in self.bearers_or_none():
            return {"Authorization": f"Bearer {self.bearers[name]}"}
        password = ADMIN_PASSWORD if name == "admin" else PASSWORD
        return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}

    def bearers_or_none(self) -> Mapping[str, str]:
        return getattr(self, "bearers", {})

    def run_jobs(self) -> None:
        """Do what a worker does, until no job is due."""
        while True:
            with self.app.app_context():
                lease = claim()
            if lease is None:
                return
            with self.app.app_context():
                execute(lease)
