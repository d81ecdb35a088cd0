"""Existing integrations on the command line: change, try, keys, events, delete."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from changegate.services.oauth.event_bounds import MOST, write_counts
from tests.cli.conftest import Run
from tests.support.certificates import certificate, pem
from tests.support.forge import jwk, key_set_document, rsa_key
from tests.support.token_desk import Integration, TokenDesk

SECRET = "0123456789abcdefghijklmnopqrstuv"


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register(claim_conditions=["ref equals refs/heads/main", "report-only: actor exists"], comments="Old")


def as_json(run: Run, *arguments: str) -> Any:
    ended = run("integration", *arguments, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def feed(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    """Let the next command read a text from stdin."""
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_create_takes_every_field_there_is(run: Run, desk: TokenDesk, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    made = as_json(
        run,
        *("create", "--name", "Whole", "--provider-name", "Example CI", "--issuer", "https://ci.example.com"),
        *("--preset", "jenkins", "--audience-claim", "client_id", "--allow-additional-audiences", "--audience", "a"),
        *("--key-source", "shared_key", "--shared-key-file", f"main={tmp_path / 'key'},kid=k1", "--algorithm", "HS256"),
        *("--allow-missing-kid", "--required-typ", "at+jwt", "--claim-condition", "ref equals refs/heads/main"),
        *("--report-only-condition", "actor exists", "--replay-policy", "once-if-present", "--run-as", "admin"),
        *("--no-scope-restriction", "--enforce-token-restriction", "--token-format", "JWT", "--no-active"),
        *("--owner", "admin", "--review-date", "2030-01-31", "--no-public"),
    )
    assert {name: made[name] for name in ("preset", "audience_claim", "required_typ", "replay_policy")} == {
        **{"preset": "jenkins", "audience_claim": "client_id", "required_typ": "at+jwt"},
        "replay_policy": "once-if-present",
    }
    assert (made["allow_additional_audiences"], made["allow_missing_kid"], made["active"]) == (True, True, False)
    assert (made["scope_restriction"], made["enforce_token_restriction"]) == (False, True)
    assert (made["token_format"], made["owner"], made["review_date"]) == ("jwt", "admin", "2030-01-31")
    assert [one["report_only"] for one in made["claim_conditions"]] == [False, True]
    assert made["verifier_maps"] == [{"name": "main", "kid": "k1", "enforce_dates": True, "active": True}]
    assert SECRET not in json.dumps(made)


def test_a_preset_needs_no_issuer(run: Run, desk: TokenDesk) -> None:
    made = as_json(
        run,
        *("create", "--name", "Shop", "--preset", "gitlab", "--place", "self-managed", "--run-as", "admin"),
        *("--placeholder", "host=git.example.com"),
    )
    assert (made["issuer"], made["provider_name"]) == ("https://git.example.com", "GitLab CI")


@pytest.mark.parametrize("is_der", [False, True])
def test_a_certificate_is_a_file_in_pem_or_der(run: Run, desk: TokenDesk, tmp_path: Path, is_der: bool) -> None:
    made_of = certificate()
    file = tmp_path / "signer"
    file.write_bytes(made_of.public_bytes(Encoding.DER) if is_der else pem(made_of).encode())
    made = as_json(
        run,
        *("create", "--name", "Signer", "--provider-name", "Signer", "--issuer", "https://signer.example.com"),
        *("--key-source", "certificates", "--certificate", f"main={file}", "--run-as", "admin"),
    )
    assert made["verifier_maps"][0]["certificate"].strip() == pem(made_of).strip()


def test_a_key_set_is_a_file(run: Run, desk: TokenDesk, tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set_document(jwk(rsa_key())))
    made = as_json(
        run,
        *("create", "--name", "Pasted", "--provider-name", "Signer", "--issuer", "https://signer.example.com"),
        *("--key-source", "jwks", "--jwks-file", str(tmp_path / "jwks.json"), "--run-as", "admin"),
    )
    assert json.loads(made["jwks"])["keys"]


def test_a_file_that_is_missing_too_large_or_not_text_is_refused(run: Run, desk: TokenDesk, tmp_path: Path) -> None:
    create = ("integration", "create", "--name", "x", "--jwks-file")
    run(*create, str(tmp_path / "nothing")).assert_refused("nothing: No such file")
    (tmp_path / "large").write_bytes(b"x" * 1_100_000)
    run(*create, str(tmp_path / "large")).assert_refused("is larger than 1048576 bytes.")
    (tmp_path / "binary").write_bytes(b"\xff\xff")
    run(*create, str(tmp_path / "binary")).assert_refused("is not valid UTF-8.")


def test_update_changes_only_the_given_options(run: Run, integration: Integration) -> None:
    before = as_json(run, "show", integration.client_id)
    ended = run("integration", "update", integration.client_id, "--clock-skew", "10", "--comments", "")
    assert ended.out == "Pipeline is changed.\n  clock_skew_seconds: 60 -> 10\n  comments: Old -> nothing\n"
    after = as_json(run, "show", integration.client_id)
    assert after == before | {"clock_skew_seconds": 10, "comments": None}
    assert run("integration", "update", integration.client_id).out == "Pipeline is unchanged.\n"
    assert as_json(run, "update", integration.client_id, "--name", "Line")["changed"] == ["name"]


def conditions_of(run: Run, client_id: str) -> list[tuple[str, bool]]:
    shown = as_json(run, "show", client_id)
    return [(one["claim"], one["report_only"]) for one in shown["claim_conditions"]]


def test_report_only_conditions_are_changed_separately(run: Run, integration: Integration) -> None:
    update = ("integration", "update", integration.client_id)
    run(*update, "--report-only-condition", "workflow exists")
    assert conditions_of(run, integration.client_id) == [("ref", False), ("workflow", True)]
    run(*update, "--claim-condition", "job exists", "--claim-condition", "sub exists")
    assert conditions_of(run, integration.client_id) == [("workflow", True), ("job", False), ("sub", False)]
    run(*update, "--claim-condition", "")
    assert conditions_of(run, integration.client_id) == [("workflow", True)]


def test_a_client_that_becomes_confidential_gets_a_secret(run: Run, desk: TokenDesk) -> None:
    public = desk.register(public_client=True)
    assert "Client secret: " in run("integration", "update", public.client_id, "--no-public").out


def test_deletes_after_asking(
    run: Run, desk: TokenDesk, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = desk.token(integration, assertion=desk.assertion(ref="refs/heads/main"))
    feed(monkeypatch, "n\n")
    assert run("integration", "delete", integration.client_id).code == 1
    assert desk.call(token).status_code == 201
    assert run("integration", "delete", integration.client_id, "--yes").out == "Pipeline is deleted.\n"
    assert desk.call(token).status_code == 401


def test_shows_keys_blocks_one_and_trusts_it_again(run: Run, desk: TokenDesk, integration: Integration) -> None:
    client_id = integration.client_id
    assert run("integration", "refresh-keys", client_id).out == "The keys were fetched: 1 usable key.\n"
    [key] = as_json(run, "keys", client_id)["keys"]
    assert f"{key['thumbprint']}  in use " in run("integration", "keys", client_id).out
    run("integration", "block-key", client_id, key["thumbprint"])
    run("integration", "block-key", client_id, "-" + "x" * 42)
    shown = run("integration", "keys", client_id).out
    assert f"{key['thumbprint']}  blocked" in shown and f"-{'x' * 42}  blocked  never seen" in shown
    run("integration", "unblock-key", client_id, key["thumbprint"])
    assert as_json(run, "keys", client_id)["blocked_keys"] == ["-" + "x" * 42]
    run("integration", "block-key", client_id, "short").assert_refused("43 characters")


def test_keys_that_are_not_fetched_cannot_be(run: Run, desk: TokenDesk) -> None:
    keys = [{"name": "main", "shared_key": SECRET}]
    stored = desk.register(key_source="shared_key", jwks_url=..., verifier_maps=keys)
    ended = run("integration", "refresh-keys", stored.client_id)
    assert (ended.code, ended.out) == (1, "")


def test_tries_an_assertion_and_shows_the_outcome(
    run: Run, desk: TokenDesk, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = desk.assertion(ref="refs/heads/main")
    feed(monkeypatch, f"{good}\n")
    tried = run("integration", "try", integration.client_id)
    assert (tried.code, tried.err) == (0, "")
    assert "failed  claim actor (report-only): " in tried.out
    assert tried.out.endswith("The assertion would be exchanged for a token that acts as release.bot.\n")
    assert good not in tried.out
    assert desk.exchange(integration, assertion=good).status_code == 200

    feed(monkeypatch, desk.assertion(ref="refs/heads/evil"))
    tried = run("integration", "try", integration.client_id)
    assert tried.code == 1
    assert "failed  claim ref: expected refs/heads/main, received refs/heads/evil\n" in tried.out
    assert tried.err == "changegate: The assertion would be refused: claim_condition_failed.\n"


@pytest.mark.parametrize(
    ("text", "sentence"), [(b"", "would be refused"), (b"\xff\xff", "would be refused"), (b"x" * 70_000, "longer than")]
)
def test_a_text_that_is_not_an_assertion_is_refused(
    run: Run, integration: Integration, monkeypatch: pytest.MonkeyPatch, text: bytes, sentence: str
) -> None:
    feed(monkeypatch, text)
    tried = run("integration", "try", integration.client_id)
    assert tried.code == 1 and sentence in tried.err


def test_finds_events(run: Run, desk: TokenDesk, integration: Integration) -> None:
    other = desk.register("Other")
    assert desk.exchange(integration).status_code == 400
    desk.token(other)
    refusal, accepted = as_json(run, "events", "--outcome", "refused"), as_json(run, "events", "--outcome", "accepted")
    assert [(one["client_id"], one["reason"]) for one in refusal] == [(integration.client_id, "claim_condition_failed")]
    assert [one["client_id"] for one in accepted] == [other.client_id]
    assert as_json(run, "events", "--client-id", integration.client_id) == refusal
    assert as_json(run, "events", "--reason", "aud_mismatch") == []
    assert as_json(run, "events", "--since", "2100-01-01") == []
    assert as_json(run, "events", "--correlation-id", refusal[0]["correlation_id"]) == refusal
    assert as_json(run, "events", "--limit", "1", "--before", accepted[0]["correlation_id"]) == refusal
    shown = run("integration", "events").out
    assert (
        f"{integration.client_id}  claim_condition_failed\n    claim ref: expected refs/heads/main, received " in shown
    )
    assert f"{other.client_id}  issued\n" in shown


def test_shows_refused_calls_and_how_many_had_no_event(run: Run, desk: TokenDesk) -> None:
    for _ in range(MOST["address"] + 2):
        with desk.app.app_context():
            assert desk.client.get("/api/now/table/task").status_code == 401
    with desk.app.app_context():
        write_counts()  # as the server does within a second of the next refusal
    shown = run("integration", "events", "--text", "table/task").out
    assert "  -  credentials_missing  127.0.0.1  -  GET /api/now/table/task\n" in shown
    assert "    further refusals, counted but not logged: 2\n" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--outcome", "good"), "outcome: Must be one of: accepted, refused, would_refuse."),
        (("--since", "yesterday"), "since: Write a time as 2030-01-31T08:30."),
        (("--since", "1900-01-01"), "since: Give a time after 1970."),
        (("--limit", "0"), "limit: Give a whole number from 1 to 500."),
        (("--limit", "ten"), "limit: Give a whole number."),
        (
            ("--client-id", "0" * 32),
            "client_id: There is no such integration. If it was deleted, search for its client ID as text.",
        ),
        (("--before", "x"), "before: Give the correlation ID of an event."),
        (("--text", "a\nb"), "text: Control characters are not allowed."),
    ],
)
def test_invalid_filters_are_refused(run: Run, desk: TokenDesk, arguments: tuple[str, ...], sentence: str) -> None:
    run("integration", "events", *arguments).assert_refused(sentence)


def test_lints_conditions(run: Run, desk: TokenDesk) -> None:
    loose = desk.register(claim_conditions=["ref glob acme*", "sub exists"])
    shown = run("integration", "lint", loose.client_id).out
    assert "ref glob acme*\n  admits:  " in shown
    assert "  ! acme* also admits acme-evil" in shown
    assert "  ! This admits everything: every token has this claim." in shown
    assert as_json(run, "lint", loose.client_id)["conditions"][0]["claim"] == "ref"
    assert "acts as release.bot" in run("integration", "lint", desk.register("Open").client_id).out


def test_lists_presets(run: Run, desk: TokenDesk) -> None:
    shown = run("integration", "presets").out
    assert "github-actions   GitHub Actions\n  github.com " in shown
    found = {preset["name"]: preset for preset in as_json(run, "presets")}
    assert found["gitlab"]["places"][1]["placeholders"]["host"]["example"] == "git.example.com"
    assert found["github-actions"]["places"][0]["shared"] is True


@pytest.mark.parametrize("command", ["update", "delete", "keys", "refresh-keys", "try", "lint", "export"])
def test_an_unknown_client_id_is_refused(run: Run, desk: TokenDesk, command: str) -> None:
    run("integration", command, "0" * 32).assert_refused("There is no integration with the client ID")
