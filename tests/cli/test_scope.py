"""`changegate scope`."""

import json
from typing import Any

import pytest

from tests.cli.conftest import Run

RULES = ("--rule", "POST table change_request fields=description", "--rule", "GET table change_request own")


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def shown(run: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("scope", "show", name, "--json").out)
    return found


def test_lists_what_each_scope_allows(run: Run) -> None:
    lines = run("scope", "list").out.splitlines()
    allowed = "May create change requests, also through the Change Management API."
    assert f"change_request.create        {allowed} Used by 0." in lines
    assert [row["name"] for row in json.loads(run("scope", "list", "--json").out)] == sorted(
        line.split()[0] for line in lines
    )


def test_creates_shows_and_deletes_a_scope(run: Run) -> None:
    made = run("scope", "create", "deploy", "--description", "To deploy", *RULES)
    assert (made.code, made.err) == (0, "")
    said = run("scope", "show", "deploy").out.splitlines()
    assert said == [
        "deploy",
        "May create change requests, setting only description; may read change requests that it created.",
        "To deploy",
        "rule: GET table change_request own",
        "rule: POST table change_request fields=description",
        "used by: no integration",
    ]
    assert run("scope", "delete", "deploy").out == "deploy is deleted.\n"
    run("scope", "show", "deploy").assert_refused("There is no auth scope deploy.")


def test_changes_only_the_given_options(run: Run) -> None:
    run("scope", "create", "deploy", "--description", "To deploy", *RULES)

    changed = json.loads(run("scope", "update", "deploy", "--rule", "GET table change_request", "--json").out)
    assert (changed["changed"], changed["description"]) == (["rules"], "To deploy")
    assert changed["rules"] == ["GET table change_request"]
    assert run("scope", "update", "deploy", "--description", "", "--rename", "ship").code == 0
    assert (shown(run, "ship")["description"], shown(run, "ship")["rules"]) == (None, ["GET table change_request"])
    run("scope", "update", "ship", "--rule", "")
    assert shown(run, "ship")["allows"] == "Allows nothing: it has no active rule."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "change_request.create"), "There is an auth scope change_request.create already."),
        (("create", "deploy", "--rule", "GET table bunk"), "There is no table bunk."),
        (("create", "deploy", "--rule", "GET"), "Write a rule as: METHOD API TABLE"),
        (("update", "bunk\x1b[2J"), "There is no auth scope bunk\N{REPLACEMENT CHARACTER}[2J."),
        (("delete", "useraccount"), "useraccount is built in and cannot be deleted."),
    ],
)
def test_refuses_in_a_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    run("scope", *arguments).assert_refused(sentence)
