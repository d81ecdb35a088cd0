"""`changegate history`."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from changegate.database import commit
from changegate.services.history.actors import SYSTEM
from changegate.services.history.chain import append
from tests.cli.conftest import Outcome, Run
from tests.services.evidence.tampering import tamper


@pytest.fixture
def run(run_prepared: Run, app: Flask) -> Run:
    with app.app_context():
        # The template of the first start has a history.
        tamper("DELETE FROM chg_history")
        for change in ("a1", "b1"):
            append("change_request", change, "moved", {"changes": {}}, SYSTEM)
        commit()
    return run_prepared


def alter(app: Flask) -> None:
    with app.app_context():
        tamper("UPDATE chg_history SET kind = 'x' WHERE subject_id = 'a1'")


def read(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_verifies_what_the_product_wrote(run: Run) -> None:
    run("history", "export-root", "--new")
    outcome = run("history", "verify")
    assert outcome.code == 0
    assert outcome.out == "Verified: entries 2, histories 2, roots 1.\nProblems: 0\nNotices: 0\n"
    assert read(run("history", "verify", "--json")) == {
        "is_clean": True,
        "chains": 2,
        "entries": 2,
        "roots": 1,
        "observations": [],
    }


def test_a_problem_is_exit_code_3(run: Run, app: Flask) -> None:
    alter(app)
    outcome = run("history", "verify")
    assert outcome.code == 3
    assert outcome.out.splitlines()[1:] == [
        "Problems: 1",
        "  edited  change_request a1 entry 1: The contents of the entry do not match its hash.",
        "Notices: 0",
    ]
    as_json = run("history", "verify", "--json")
    assert as_json.code == 3
    assert read(as_json)["observations"] == [
        {
            "code": "edited",
            "sentence": "The contents of the entry do not match its hash.",
            "subject_table": "change_request",
            "subject_id": "a1",
            "seq": 1,
            "is_problem": True,
        }
    ]


def test_compares_with_a_root_that_was_kept_elsewhere(run: Run, app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "root.json"
    assert run("history", "export-root", "--new", "--output", str(file)).code == 0
    assert run("history", "verify", "--root", str(file)).code == 0
    with app.app_context():
        tamper("DELETE FROM chg_history_root", "DELETE FROM chg_history WHERE subject_id = 'a1'")

    assert run("history", "verify").code == 0
    found = run("history", "verify", "--json", "--root", str(file))
    assert found.code == 3
    assert [each["code"] for each in read(found)["observations"]] == ["root_missing", "removed"]


def test_a_file_that_is_no_root_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "root.json"
    file.write_text("{}")
    run("history", "verify", "--root", str(file)).assert_refused("The file is not a root")


def test_exports_a_root_by_its_number(run: Run) -> None:
    run("history", "export-root").assert_refused("There is no root yet.")
    newest = run("history", "export-root", "--new").out
    assert run("history", "export-root").out == run("history", "export-root", "--number", "1").out == newest
    run("history", "export-root", "--number", "2").assert_refused("There is no root 2.")


@pytest.mark.parametrize(
    "arguments",
    [("verify", "--root", "nowhere"), ("export-root", "--number", "0"), ("export-root", "--number", "1", "--new")],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("history", *arguments).code == 2
