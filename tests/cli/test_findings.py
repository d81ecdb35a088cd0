"""`changegate findings`."""

import json

import pytest
from flask import Flask

from tests.cli.conftest import Run
from tests.support.token_desk import Integration, TokenDesk


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register(owner="admin")


def test_a_fresh_instance_has_no_findings(run: Run) -> None:
    assert run("findings").out == "Security score 100 of 100; findings: 0 high, 0 medium, 0 low.\n"
    assert json.loads(run("findings", "--json").out) == {
        "score": 100,
        "counts": {"high": 0, "medium": 0, "low": 0},
        "findings": [],
    }


def test_lists_findings_with_their_remedies(run: Run, desk: TokenDesk, integration: Integration) -> None:
    desk.set(integration, access_token_lifespan_seconds=7200, name="Pipeline\x1b[2J")
    said = run("findings")
    assert said.code == 0
    assert said.out.splitlines() == [
        "Security score 96 of 100; findings: 0 high, 0 medium, 1 low.",
        f"low    Pipeline\N{REPLACEMENT CHARACTER}[2J (integration {integration.client_id})",
        "       long_lived_tokens: A leaked token works for up to 7200 seconds. "
        "Lower the lifespan to 3600 seconds or less; a new token costs one request.",
    ]


@pytest.mark.parametrize(
    ("severity", "codes"),
    [("high", [0, 0, 1]), ("medium", [0, 1, 1]), ("low", [1, 1, 1])],
    ids=["high", "medium", "low"],
)
def test_fails_on_the_given_severity(
    run: Run, desk: TokenDesk, integration: Integration, severity: str, codes: list[int]
) -> None:
    assert run("findings", "--fail-on", severity).code == 0
    worse = ({"clock_skew_seconds": 300}, {"owner": "f" * 32}, {"issuer": "https://gitlab.com"})
    for columns, code in zip(worse, codes, strict=True):
        desk.set(integration, **columns)
        outcome = run("findings", "--fail-on", severity, "--json")
        assert (outcome.code, outcome.err) == (code, "")
        assert json.loads(outcome.out)["findings"]


def test_wrong_usage_is_exit_code_2(run: Run) -> None:
    assert run("findings", "--fail-on", "everything").code == 2
    assert run("findings", "extra").code == 2


def test_an_instance_that_is_not_prepared_is_refused(run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEGATE_INSTANCE_PATH", f"{app.instance_path}/elsewhere")
    run("findings").assert_refused("is not prepared yet")
