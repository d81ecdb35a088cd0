"""`changegate integration`."""

import json

import pytest

from tests.cli.conftest import Run

LEAST = ("--name", "Pipeline", "--provider-name", "Example CI", "--issuer", "https://ci.example.com")
URL = ("--jwks-url", "https://ci.example.com/jwks.json")
CREATE = ("integration", "create", *LEAST, *URL)


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


@pytest.fixture
def client_id(run: Run) -> str:
    found: str = json.loads(run(*CREATE, "--run-as", "admin", "--no-public", "--json").out)["client_id"]
    return found


def test_creates_an_integration_and_shows_its_secret_once(run: Run) -> None:
    made = run(*CREATE, "--run-as", "admin", "--no-public")

    assert made.code == 0, made.err
    assert "Client ID:" in made.out and "Client secret:" in made.out
    assert "Client secret:" not in run(*CREATE, "--run-as", "admin", "--name", "Another").out


def test_create_as_json_is_one_object_with_what_a_script_needs(run: Run) -> None:
    made = run(*CREATE, "--run-as", "admin", "--no-public", "--json")

    shown = json.loads(made.out)
    assert made.code == 0
    assert shown["audiences"] == [shown["client_id"]]
    assert (len(shown["client_secret"]), len(shown["sys_id"])) == (43, 32)
    assert (shown["run_as"], shown["scopes"]) == ("admin", ["change_request.create"])
    assert (shown["active"], shown["public_client"], shown["user_field"]) == (True, False, None)
    assert not [name for name in shown if "hash" in name]


def test_create_takes_every_field_of_the_form(run: Run) -> None:
    options = (
        *("--audience", "a", "--audience", "b", "--user-field", "email", "--scope", "change_request.create"),
        *("--public", "--algorithm", "ES256", "--jti-claim", "uti", "--access-token-lifespan", "60"),
        *("--clock-skew", "0", "--max-assertion-lifetime", "600", "--jwks-cache-lifespan", "5"),
        *("--comments", "Of the shop", "--no-jti-verification"),
    )
    shown = json.loads(run(*CREATE, *options, "--json").out)

    assert {name: shown[name] for name in ("audiences", "user_field", "algorithms", "jti_claim", "comments")} == {
        "audiences": ["a", "b"],
        "user_field": "email",
        "algorithms": ["ES256"],
        "jti_claim": "uti",
        "comments": "Of the shop",
    }
    assert (shown["public_client"], shown["client_secret"], shown["enable_jti_verification"]) == (True, None, False)
    assert shown["access_token_lifespan_seconds"] == 60
    assert (shown["clock_skew_seconds"], shown["max_assertion_lifetime_seconds"]) == (0, 600)
    assert shown["jwks_cache_lifespan_minutes"] == 5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "run_as: Choose either"),
        (("--run-as", "admin", "--user-field", "email"), "run_as: Choose either"),
        (("--run-as", "nobody"), "There is no active user nobody."),
        (("--run-as", "admin", "--scope", "everything"), "There is no auth scope everything"),
        (("--run-as", "admin", "--clock-skew", "301"), "clock_skew_seconds: Give a whole number from 0 to 300."),
        (("--run-as", "admin", "--clock-skew", "ten"), "clock_skew_seconds: Give a whole number."),
        (("--user-field", "user_password"), "user_field: Must be one of: email"),
        (("--run-as", "admin", "--algorithm", "HS256"), "algorithms: HS256 works with shared keys only"),
        (("--run-as", "admin", "--jti-claim", "sub"), "jti_claim:"),
        (("--run-as", "admin", "--audience", "x" * 300), "audiences: At most 255 characters."),
        (("--run-as", "admin", "--comments", "a\udcffb"), "comments: Control characters are not allowed."),
        (("--run-as", "admin", "--jwks-url", "file:///etc/passwd"), "jwks_url:"),
        (("--run-as", "admin", "--jwks-url", "http://169.254.169.254/"), "jwks_url:"),
        (("--run-as", "admin", "--name", ""), "name:"),
    ],
)
def test_create_reports_an_error_in_one_sentence(run: Run, options: tuple[str, ...], text: str) -> None:
    run(*CREATE, *options).assert_refused(text)


def test_a_name_can_be_used_only_once(run: Run, client_id: str) -> None:
    run(*CREATE, "--run-as", "admin").assert_refused("There is an integration named Pipeline already.")


@pytest.mark.parametrize(
    "arguments",
    [
        (*CREATE, "--certificate", "x"),
        (*CREATE, "--certificate", "=file"),
        (*CREATE, "--placeholder", "host"),
        (*CREATE, "--nonsense"),
        ("integration", "apply"),
        ("integration", "disable"),
        ("integration", "explode"),
        ("integration", "rotate-secret", "x", "--overlap-hours", "-1"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert "Usage:" in ended.err


def test_lists_integrations(run: Run, client_id: str) -> None:
    [listed] = json.loads(run("integration", "list", "--json").out)

    assert (listed["client_id"], listed["name"]) == (client_id, "Pipeline")
    assert "client_secret" not in listed
    line = f"{client_id}  active    jwt_bearer         Pipeline  https://ci.example.com\n"
    assert run("integration", "list").out == line


def test_an_empty_list_is_not_an_error(run: Run) -> None:
    assert (run("integration", "list").out, run("integration", "list", "--json").out) == ("", "[]\n")


def test_shows_one(run: Run, client_id: str) -> None:
    shown = json.loads(run("integration", "show", client_id, "--json").out)

    assert (shown["client_id"], shown["run_as"]) == (client_id, "admin")
    assert f"client_id: {client_id}\n" in run("integration", "show", client_id).out
    assert "scopes: change_request.create\n" in run("integration", "show", client_id).out


def test_disables_and_enables(run: Run, client_id: str) -> None:
    assert run("integration", "disable", client_id).out == f"{client_id} is disabled.\n"
    assert json.loads(run("integration", "show", client_id, "--json").out)["active"] is False
    assert "disabled" in run("integration", "list").out
    assert run("integration", "enable", client_id).out == f"{client_id} is enabled.\n"
    assert json.loads(run("integration", "show", client_id, "--json").out)["active"] is True


def test_rotates_the_secret(run: Run, client_id: str) -> None:
    first = json.loads(run("integration", "rotate-secret", client_id, "--json").out)
    second = run("integration", "rotate-secret", client_id, "--overlap-hours", "24")

    assert set(first) == {"sys_id", "client_id", "client_secret"}
    assert second.out.startswith("Client secret: ") and first["client_secret"] not in second.out


@pytest.mark.parametrize("command", ["show", "disable", "enable", "rotate-secret"])
def test_an_unknown_client_id_is_refused(run: Run, command: str) -> None:
    run("integration", command, "0" * 32).assert_refused(f"There is no integration with the client ID {'0' * 32}.")


def test_a_public_client_has_no_secret_to_rotate(run: Run) -> None:
    public = json.loads(run(*CREATE, "--run-as", "admin", "--public", "--json").out)["client_id"]

    assert "Client secret" not in run("integration", "show", public).out
    run("integration", "rotate-secret", public).assert_refused("A public client has no secret.")
