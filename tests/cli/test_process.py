"""`changegate process`: the change process as a file under version control."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from changegate.database import commit
from changegate.extensions import db
from changegate.services.process_documents.versions import current_version
from tests.cli.conftest import Outcome, Run
from tests.services.approvals.asked_changes import add_group, add_policy, enter, of_group, write
from tests.services.approvals.test_claims import add_change, add_integration
from tests.services.process_files.process_texts import MODEL, PROCESS, dump_database
from tests.services.process_files.test_replaying import TRUSTED
from tests.support.people import add_account


class Files:
    """Files that are applied to the instance of the test."""

    def __init__(self, run: Run, folder: Path, app: Flask) -> None:
        self.run = run
        self.app = app
        self.file = folder / "process.yaml"

    def given(self, command: str, text: str, *options: str) -> Outcome:
        self.file.write_text(text)
        return self.run("process", command, str(self.file), *options)

    def done(self, command: str, text: str, *options: str) -> str:
        ended = self.given(command, text, *options)
        assert (ended.code, ended.err) == (0, "")
        return ended.out

    def export(self, *options: str) -> str:
        ended = self.run("process", "export", *options)
        assert (ended.code, ended.err) == (0, "")
        return ended.out

    def dump(self) -> dict[str, list[Any]]:
        with self.app.app_context():
            return dump_database()

    def version(self) -> int:
        with self.app.app_context():
            return current_version()

    def user(self, name: str) -> None:
        with self.app.app_context():
            add_account(name)
            db.session.commit()


@pytest.fixture
def files(run_prepared: Run, tmp_path: Path, app: Flask) -> Files:
    return Files(run_prepared, tmp_path, app)


def test_applies_a_file_once(files: Files) -> None:
    assert files.done("apply", PROCESS) == "model Network: created\npolicy Night shift: created\n"
    before = files.dump()
    assert files.done("apply", PROCESS) == "model Network: unchanged\npolicy Night shift: unchanged\n"
    assert files.dump() == before


def test_diff_writes_nothing_and_is_quiet_if_nothing_differs(files: Files) -> None:
    before = files.dump()
    assert files.done("diff", PROCESS) == "model Network: created\npolicy Night shift: created\n"
    assert files.given("diff", PROCESS, "--exit-code").code == 3
    assert files.dump() == before
    files.done("apply", PROCESS)
    assert files.done("diff", PROCESS, "--exit-code") == ""
    assert files.done("diff", files.export(), "--exit-code") == ""


def test_shows_every_difference(files: Files) -> None:
    files.done("apply", PROCESS)
    edited = PROCESS.replace("value: 2", "value: 1").replace("users: [admin]", "users: [admin]\n        order: 7")
    edited = edited.replace("state_label: Assess,", "state_label: Asking,").replace(": Assess\n", ": Asking\n")
    edited = edited.replace("name: Approved\n            condition", "name: Agreed\n            condition")
    assert files.done("diff", edited).splitlines() == [
        "model Network: changed",
        "  state Asking: state_label: Assess -> Asking",
        "  transition Approved: condition Agreed: added",
        "  transition Approved: condition Approved: removed",
        "policy Night shift: changed",
        "  rule Administrator: order: 100 -> 7",
        "  rule Peers: value: 2 -> 1",
    ]
    [model, policy] = json.loads(files.done("diff", edited, "--json"))
    assert (model["kind"], model["name"], model["action"], model["changes"]) == ("model", "Network", "change", {})
    assert policy["parts"][1]["changes"] == {"value": ["2", "1"]}
    assert {"kind": "condition", "name": "Approved", "action": "delete"} in model["parts"][1]["parts"]


def test_shows_names_instead_of_sys_ids(files: Files) -> None:
    files.user("ann")
    files.done("apply", PROCESS)
    edited = PROCESS.replace("users: [admin]", "users: [admin, ann]").replace("chg_model: Network", "chg_model: Normal")
    assert files.done("diff", edited).splitlines()[1:] == [
        "  chg_model: Network -> Normal",
        "  rule Administrator: users: admin -> admin, ann",
    ]


def test_exports_what_is_asked_for(files: Files) -> None:
    files.done("apply", PROCESS)
    text = files.export("Network")
    assert "policies:" not in text
    assert "  - name: Network\n" in text
    assert "shipped" not in files.export("Normal")
    assert "models:" not in files.export("--kind", "policies")
    files.run("process", "export", "Network", "--kind", "policies").assert_refused("no record named Network")
    files.run("process", "export", "Nothing").assert_refused("The process has no record named Nothing.")


def test_exports_an_earlier_version_that_can_be_applied(files: Files) -> None:
    files.done("apply", PROCESS)
    then = files.version()
    files.done("apply", PROCESS.replace("value: 2", "value: 1"))
    earlier = files.export("--version", str(then))
    assert "value: 2" in earlier
    assert "shipped: true" in earlier
    assert "rule Peers: value: 1 -> 2" in files.done("apply", earlier)
    assert files.done("diff", PROCESS) == ""
    files.run("process", "export", "--version", "999").assert_refused("There is no version 999 yet.")


def test_an_export_of_another_instance_is_applied_and_exported_as_the_same_bytes(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.done("apply", PROCESS)
    exported = files.export()
    monkeypatch.setenv("CHANGEGATE_INSTANCE_PATH", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    assert files.run("prepare").code == 0
    files.done("apply", exported)
    assert files.export() == exported


def test_writes_as_a_user_only_with_the_role(files: Files) -> None:
    files.user("ann")
    refused = files.given("apply", PROCESS, "--as", "ann")
    assert refused.code == 1
    assert "line 3, column 5: model Network: " in refused.err
    files.given("apply", PROCESS, "--as", "nobody").assert_refused("There is no user nobody.")
    assert files.done("apply", PROCESS, "--as", "admin").startswith("model Network: created")
    assert files.run("user", "create", "old", "--role", "admin").code == 0
    with files.app.app_context():
        db.session.execute(db.text("UPDATE sys_user SET active = false WHERE user_name = 'old'"))
        db.session.commit()
    files.given("diff", PROCESS, "--as", "old").assert_refused("The user old is inactive or locked out.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "",
            "line 1, column 1: Write the records as lists under models, freezes, maintenance, ",
        ),
        ("- models\n", "A mapping of keys to values is expected here."),
        (
            "modles: []\n",
            "line 1, column 1: Unknown key; use one of models, freezes, maintenance, ",
        ),
        ("models: {}\n", "A list is expected here."),
        ("models:\n  - name: x\n    states: 3\n", "line 3, column 13: A list is expected here."),
        ("models:\n  - &a {name: x}\n  - *a\n", "Aliases are not supported"),
        ("models:\n  - !!python/object:os.system {}\n", "Tags are not supported"),
        ("models:\n  - name: x\n    name: y\n", "line 3, column 5: The key name occurs twice."),
        ("models: []\nmodels: []\n", "The key models occurs twice."),
        ("models:\n  - name: x\n    active: !!bool yes\n", "Tags are not supported"),
        ("format: 2\nworkflows: []\n", "line 1, column 1: This release reads format 1."),
        ("workflows: []\nformat: 2\n", "line 2, column 1: This release reads format 1."),
        ("format: [1]\n", "This release reads format 1."),
        ("models: [" + "[" * 40 + "]" * 40 + "]\n", "nested too deeply"),
        ("# " + "x" * 1024 * 1024 + "\n", "The file is longer than 1048576 characters."),
        ("models:\n  - name: [x]\n", "name: A text, a number, true, false, or null is expected"),
        ("models:\n  - name: x\n    1: 2\n", "A key must be a string."),
        ("models:\n  - name: 'a\0b'\n", "a character that YAML does not allow"),
        ('models:\n  - name: "\\ud800"\n', "line 2, column 11: The text contains a null character or half"),
        ('models:\n  - name: "\\0"\n', "line 2, column 11: The text contains a null character or half"),
        ("policies:\n  - name: x\n    state: .inf\n", "state: a whole number is expected"),
        ("policies:\n  - name: x\n    state: 1e400\n", "line 3, column 5: state: "),
        ("policies:\n  - name: 1e400\n    state: -4\n", "line 2, column 5: name: "),
        ("policies:\n  - name: x\n    state: 99999999999999999999\n", "line 3, column 5: state: "),
        ("policies:\n  - name: x\n    state: -4\n    sys_id: abc\n", "sys_id: Unknown key"),
        ("policies:\n  - name: x\n    state: -4\n    version: 7\n", "version: Unknown key"),
        ("models:\n  - name: x\n    copied_from: Normal\n", "copied_from: Unknown key"),
        ("models:\n  - name: " + "x" * 101 + "\n", "name: 101 characters are more than the 100 it holds"),
    ],
)
def test_a_malformed_file_is_refused(files: Files, text: str, sentence: str) -> None:
    before = files.dump()
    for command in ("apply", "diff"):
        refused = files.given(command, text)
        assert (refused.code, refused.out) == (1, "")
        assert sentence in refused.err
    assert files.dump() == before


def test_a_file_that_does_not_exist_is_refused(files: Files) -> None:
    files.run("process", "apply", "/nowhere/process.yaml").assert_refused("/nowhere/process.yaml: No such file")


def test_a_file_in_another_encoding_is_refused(files: Files) -> None:
    files.file.write_bytes(MODEL.replace("Network", "R\xe9seau").encode("latin-1"))
    files.run("process", "apply", str(files.file)).assert_refused("is not valid UTF-8.")


def test_a_name_cannot_reach_the_terminal_as_control_characters(files: Files) -> None:
    refused = files.given("apply", 'policies:\n  - name: "x\\e[2J"\n    state: -4\n')
    assert refused.code == 1
    assert "\x1b" not in refused.err


@pytest.fixture
def past(files: Files) -> Files:
    """Requests of four changes of a pipeline, of which two were closed, and of one change of somebody else."""
    with files.app.app_context():
        add_integration()
        add_policy(of_group(add_group("Peers", add_account("ann"))), name="Stored", order=5)
        changes = [add_change() for _ in range(4)] + [add_change({"source_ref": "refs/heads/other"}, category="Other")]
        for change in changes:
            enter(change)
        write(changes[0], state=3, close_code="successful")
        write(changes[1], state=3, close_code="unsuccessful")
        commit()
    return files


def test_replays_edited_policies_and_writes_nothing(past: Files) -> None:
    before = past.dump()
    assert past.done("replay", TRUSTED, "--days", "30").splitlines() == [
        "Requests for approval in the last 30 days: 5, of 5 changes.",
        "                                 decided    edited",
        "Approved by verified claims            0         4",
        "Rejected by verified claims            0         0",
        "People were asked                      5         1",
        "Nobody to ask                          0         0",
        "Another result, policy, or other people: 4.",
        "Changes that the edited policies would approve by verified claims: 4 "
        "(not ended 2, successful 1, unsuccessful 1).",
        "Implemented: 2, not successful: 1. Success rate: at least 9 % (95 % confidence).",
        "Asked: ann, 5 times as decided, 1 times as edited.",
    ]
    assert past.dump() == before


def test_lists_what_would_differ(past: Files) -> None:
    lines = past.done("replay", TRUSTED, "--details").splitlines()
    ends = "Assess: people were asked (Stored): ann -> approved by verified claims (Trusted pipelines)"
    assert [line.partition(" ")[2] for line in lines[-4:]] == [ends] * 4
    assert past.done("replay", "policies: []\n", "--details").splitlines()[-1].startswith("Asked: ann, 5 times")


def test_names_the_facts_of_today(past: Files) -> None:
    edited = TRUSTED.replace("    state: -4\n", "    state: -4\n    condition: category=Other\n")
    assert "category was not recorded for 5 requests: its value of today was used." in past.done("replay", edited)


def test_writes_all_requests_as_json(past: Files) -> None:
    result = json.loads(past.done("replay", TRUSTED, "--json"))
    assert (result["deleted"], len(result["requests"])) == (0, 5)
    first = result["requests"][0]
    assert first["decided"] == {"result": "asked", "policy": "Stored", "people": ["ann"], "reason": None}
    assert (first["edited"]["result"], first["differs"], first["state"]) == ("approved", True, -4)
    assert {each["ended"] for each in result["requests"]} == {"successful", "unsuccessful", "not ended"}


def test_refuses_an_invalid_file_before_a_replay(past: Files) -> None:
    before = past.dump()
    assert past.given("replay", TRUSTED.replace("source_ref=", "source_reff=")).code == 1
    assert past.run("process", "replay", "--days", "0", str(past.file)).code == 2
    assert past.dump() == before
