"""`changegate token-key`."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("token-key", "list", "--json").out)
    return found


def test_there_are_no_keys_before_one_is_needed(run: Run) -> None:
    assert (run("token-key", "list").out, listed(run)) == ("", [])


def test_rotates_with_a_lead(run: Run) -> None:
    first = json.loads(run("token-key", "rotate", "--json").out)
    second = json.loads(run("token-key", "rotate", "--json").out)

    assert (first["state"], second["state"]) == ("signing", "next")
    lead = datetime.fromisoformat(second["active_from"]) - datetime.fromisoformat(second["created_at"])
    assert lead == timedelta(hours=24)
    assert [key["kid"] for key in listed(run)] == [second["kid"], first["kid"]]


def test_says_when_the_new_key_will_sign(run: Run) -> None:
    run("token-key", "rotate")
    said = run("token-key", "rotate", "--lead-hours", "1").out

    [waiting, _] = listed(run)
    moment = datetime.fromisoformat(waiting["active_from"])
    assert said == f"{waiting['kid']} is published and signs from {moment:%Y-%m-%d %H:%M} UTC.\n"
    run("token-key", "rotate").assert_refused(f"The key {waiting['kid']} is published already")


def test_blocks_a_key(run: Run) -> None:
    kid = json.loads(run("token-key", "rotate", "--json").out)["kid"]

    assert run("token-key", "block", kid).out == f"{kid} is blocked.\n"
    assert [key["state"] for key in listed(run)] == ["signing", "blocked"]
    assert json.loads(run("token-key", "block", kid, "--json").out)["state"] == "blocked"


def test_an_unknown_key_is_refused(run: Run) -> None:
    for kid in ("nonsense", "-yxmpZKX", "-"):
        run("token-key", "block", kid).assert_refused(f"There is no token key {kid}.")
    assert listed(run) == []


def test_lists_keys_for_people_and_never_their_private_half(run: Run) -> None:
    old = json.loads(run("token-key", "rotate", "--json").out)["kid"]
    run("token-key", "rotate")
    run("token-key", "block", old)

    lines = run("token-key", "list").out.splitlines()
    assert lines[0].split()[1:4] == ["signing", "signs", "from"]
    assert lines[1].startswith(f"{old}  blocked ") and ", blocked at " in lines[1]
    assert {key for facts in listed(run) for key in facts} == {
        *("kid", "state", "created_at", "active_from", "retired_at", "blocked_at"),
    }


@pytest.mark.parametrize(
    "arguments",
    [("block",), ("rotate", "--lead-hours", "0"), ("rotate", "--lead-hours", "721"), ("rotate", "x"), ("explode",)],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("token-key", *arguments).code == 2
