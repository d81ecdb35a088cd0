"""The command, and the real process behind it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests
from click.testing import CliRunner
from jwt import PyJWK

from demo_idp.cli import is_loopback, main
from tests.support.servers import free_port

GREETING = "Demo identity provider, for demonstration only"
DEMO_IDP = str(Path(sys.executable).with_name("demo-idp"))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def process(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [DEMO_IDP, "serve", "--port", str(port)]
    # A session of its own, so that a signal can go to all of it, as from a terminal, and to nobody else.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            wait_until_healthy(process, port)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_healthy(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(2400):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the provider did not start in two minutes")


def test_a_live_process_signs_what_its_key_set_verifies_and_stops_on_sigterm(
    process: subprocess.Popen[str], port: int
) -> None:
    base_url = f"http://127.0.0.1:{port}"
    body = {"sub": "deploy-bot", "aud": "client-1"}
    assertion = requests.post(f"{base_url}/sign", json=body, timeout=60).json()["assertion"]
    requests.post(f"{base_url}/behaviors/rotate", timeout=60).raise_for_status()
    jwks_uri = requests.get(f"{base_url}/.well-known/openid-configuration", timeout=60).json()["jwks_uri"]
    keys = {jwk["kid"]: PyJWK(jwk) for jwk in requests.get(jwks_uri, timeout=60).json()["keys"]}
    key = keys[jwt.get_unverified_header(assertion)["kid"]]
    claims = jwt.decode(assertion, key, ["RS256"], audience="client-1", issuer=base_url)
    assert (claims["sub"], len(keys)) == ("deploy-bot", 4)

    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, f"{GREETING}: {base_url}\n", "")


def test_a_live_process_stops_on_ctrl_c_which_reaches_its_worker_too(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")


def test_refuses_a_port_where_another_one_serves(process: subprocess.Popen[str], port: int) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use.\n"
    assert result.stdout == ""


def test_refuses_an_address_that_is_not_its_own() -> None:
    result = CliRunner().invoke(main, ["serve", "--host", "::2", "--allow-remote"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Cannot listen on ::2 port 8081: ")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "idp.example"])
def test_refuses_an_address_that_others_reach_unless_it_is_allowed(host: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--host", host])
    assert result.exit_code == 2
    assert f"{host} is not a loopback address." in result.stderr
    assert "--allow-remote" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"])
def test_asks_for_the_name_of_a_server_that_listens_everywhere(host: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--host", host, "--allow-remote"])
    assert result.exit_code == 2
    assert "name the server with --base-url" in result.stderr


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_knows_the_addresses_that_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_an_impossible_port_is_a_usage_error(port: str) -> None:
    assert CliRunner().invoke(main, ["serve", "--port", port]).exit_code == 2
