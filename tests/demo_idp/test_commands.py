"""The commands that work with a running provider, and their exit codes."""

from collections.abc import Callable

import jwt
import pytest
from click.testing import CliRunner, Result
from flask import Flask

from demo_idp import create_app
from demo_idp.behaviors import BEHAVIORS
from demo_idp.cli import main
from tests.demo_idp.servers import served
from tests.demo_idp.stage import Stage

Run = Callable[..., Result]


@pytest.fixture
def run(stage: Stage) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--url", stage.url])

    return invoke


@pytest.fixture
def client(stage: Stage) -> tuple[str, ...]:
    credentials = stage.credentials
    return "--client-id", credentials["client_id"], "--client-secret", credentials["client_secret"]


def test_lists_the_behaviors() -> None:
    lines = CliRunner().invoke(main, ["list"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(BEHAVIORS)
    assert "signature_invalid" in lines[0]


def test_signs_as_ordered(run: Run, stage: Stage) -> None:
    options = ("--layout", "gitlab", "--subject", "pipeline", "--algorithm", "ES256", "--lifetime", "60")
    result = run("sign", *options, "--claims", '{"ref": "feature", "jti": null}')
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["ref"]) == (stage.url, "pipeline", "feature")
    assert (claims["project_id"], claims["exp"] - claims["iat"]) == ("4711", 60)
    assert "jti" not in claims


def test_sends_to_changegate(run: Run, stage: Stage, client: tuple[str, ...]) -> None:
    result = run("send", *client)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "Accepted (HTTP 200), as expected.")
    assert f"Event: {stage.workbench.changegate.url}/inbound-integrations/events/" in result.stdout


def test_performs_a_behavior_and_sends(run: Run, client: tuple[str, ...]) -> None:
    result = run("do", "forged-key", *client)
    assert result.exit_code == 0
    assert BEHAVIORS["forged-key"].must in result.stdout
    assert "as expected: rule “signature”, reason signature_invalid." in result.stdout


def test_performs_a_behavior_without_sending(run: Run, stage: Stage) -> None:
    result = run("do", "down", "--no-send")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Signed, and not sent.")
    assert stage.workbench.provider.fault == "down"


def test_ends_with_code_1_if_the_answer_is_not_what_it_must_be(run: Run, stage: Stage) -> None:
    stage.register("Strict", claim_conditions=["sub equals somebody else"])
    credentials = stage.credentials
    sent = ("--client-id", credentials["client_id"], "--client-secret", credentials["client_secret"])
    assert run("send", *sent).exit_code == 1


@pytest.mark.parametrize("claims", ["{", "7", "[]", "{'sub': 1}"])
def test_claims_that_are_no_json_object_are_an_error(run: Run, claims: str) -> None:
    result = run("sign", "--claims", claims)
    assert (result.exit_code, result.stdout) in {(1, ""), (2, "")}
    assert "claims" in result.stderr


def test_without_a_server_it_is_an_error() -> None:
    with served(lambda url: create_app(base_url=url)) as url:
        pass
    result = CliRunner().invoke(main, ["sign", "--url", url])
    assert (result.exit_code, result.stderr) == (1, f"Error: There is no answer from {url} (ConnectionError).\n")


def test_another_server_is_an_error() -> None:
    with served(lambda _: Flask("other")) as url:
        result = CliRunner().invoke(main, ["sign", "--url", url])
    assert (result.exit_code, result.stderr) == (1, f"Error: {url} is not a demo identity provider.\n")
