"""What Changegate must do about each behavior, checked with a Changegate application."""

import pytest

from changegate.schemas.presets import PRESETS, defaults_of
from changegate.services.keys import jwks_fetch
from demo_idp.behaviors import BEHAVIORS, Behavior
from demo_idp.layouts import LAYOUTS
from tests.demo_idp.stage import Stage
from tests.guards.source_tree import ROOT

EVERY_BEHAVIOR = pytest.mark.parametrize("behavior", BEHAVIORS.values(), ids=list(BEHAVIORS))
FAULTS = [behavior for behavior in BEHAVIORS.values() if behavior.fault]
SETTINGS_OF_VARIANTS = {"auth0-rfc-9068": {"required_typ": "at+jwt"}}


@EVERY_BEHAVIOR
def test_changegate_does_what_the_list_says(stage: Stage, behavior: Behavior) -> None:
    if behavior.name == "retired-key":
        stage.perform("rotate-abruptly")
    assert stage.send()["answers"][0]["status"] == 200
    stage.pass_cooldown()
    result = stage.perform(behavior.name)
    assert result["as_expected"] is True, result["line"]
    assert (result["answers"][-1]["status"] == 200) is not behavior.must_be_refused
    if behavior.must_be_refused:
        assert (stage.event(result).reason, stage.failed_rules(result)[0]) == (behavior.reason, behavior.rule)
        assert f"rule “{behavior.rule}”, reason {behavior.reason}" in result["line"]


@pytest.mark.parametrize("behavior", FAULTS, ids=[behavior.name for behavior in FAULTS])
def test_changegate_without_cached_keys_does_what_the_list_says(
    stage: Stage, behavior: Behavior, monkeypatch: pytest.MonkeyPatch
) -> None:
    if behavior.name == "slow":
        monkeypatch.setattr(jwks_fetch, "READ_SECONDS", 0.2)
    result = stage.perform(behavior.name)
    event = stage.event(result)
    assert (event.reason, result["as_expected"]) == (behavior.reason, True)
    assert result["answers"][0]["status"] == (503 if behavior.reason else 200)
    assert (behavior.shows or "") in (event.detail or "")
    stage.perform("recover", send=False)
    stage.pass_cooldown()
    assert stage.send()["answers"][0]["status"] == 200


def test_a_token_of_each_layout_is_accepted_with_its_preset(stage: Stage) -> None:
    lines = {}
    for name, layout in LAYOUTS.items():
        preset = defaults_of(PRESETS[layout.preset]) if layout.preset else {}
        place = {"issuer": stage.url + layout.issuer_path, **SETTINGS_OF_VARIANTS.get(name, {})}
        stage.register(name, **preset | place)
        lines[name] = stage.send(layout=name)["line"]
    assert set(lines.values()) == {"Accepted (HTTP 200), as expected."}, lines


def test_every_preset_has_a_layout() -> None:
    assert {layout.preset for layout in LAYOUTS.values()} - {None} == PRESETS.keys()


def test_a_retired_key_is_accepted_until_the_key_set_is_fetched_and_the_line_says_so(stage: Stage) -> None:
    stage.send()
    result = stage.perform("retired-key")
    assert (result["answers"][0]["status"], result["as_expected"]) == (200, None)
    assert "still has this key in its cache" in result["line"]
    stage.pass_cooldown()
    stage.send()
    assert stage.perform("retired-key")["as_expected"] is True


def test_a_second_rotation_waits_for_the_cooldown_and_the_presenter_sees_until_when(stage: Stage) -> None:
    stage.send()
    stage.pass_cooldown()
    assert stage.perform("rotate")["as_expected"] is True
    result = stage.perform("rotate")
    assert (stage.event(result).reason, result["as_expected"]) == ("kid_unknown", None)
    until = f"{stage.workbench.provider.fetched_again_at:%H:%M:%S} UTC"
    for text in (result["line"], stage.idp.get("/").text):
        assert "up to 60 seconds" in text
        assert until in text
    stage.pass_cooldown()
    assert stage.send()["as_expected"] is True


@pytest.mark.parametrize(("change", "is_old_token_accepted"), [("rotate", True), ("rotate-abruptly", False)])
def test_tokens_of_previous_keys_stay_accepted_while_these_are_published(
    stage: Stage, change: str, is_old_token_accepted: bool
) -> None:
    stage.send()
    old = [stage.perform("recover", send=False) for _ in range(2)]
    stage.pass_cooldown()
    assert stage.perform(change)["as_expected"] is True
    assert stage.resend(old[0]) is is_old_token_accepted
    stage.perform("retire", send=False)
    stage.pass_cooldown()
    stage.perform("foreign-key")  # for its unknown kid, Changegate fetches the key set
    assert not stage.resend(old[1])


def test_keys_that_were_published_ahead_need_no_fetch_when_they_sign(stage: Stage) -> None:
    stage.perform("pre-publish")
    fetches = list(stage.workbench.provider.fetches)
    result = stage.perform("rotate")
    assert result["as_expected"] is True
    assert list(stage.workbench.provider.fetches) == fetches
    assert result["signing"]["RS256"] == result["published"][0]


def test_a_new_key_is_refused_while_the_key_set_has_a_fault_and_old_tokens_are_not(stage: Stage) -> None:
    stage.send()
    old = stage.perform("down", send=False)
    assert stage.send()["line"] == "Accepted (HTTP 200), as expected: Changegate has this key in its cache."
    stage.pass_cooldown()
    result = stage.perform("rotate")
    assert (stage.event(result).reason, result["as_expected"]) == ("kid_unknown", True)
    assert "the key set has the fault “down”" in result["line"]
    assert stage.resend(old)


def test_no_rule_is_named_while_another_reason_is_likelier(stage: Stage) -> None:
    stage.send()
    stage.pass_cooldown()
    stage.perform("rotate")
    stage.perform("rotate", send=False)
    forged = stage.perform("forged-key")
    assert (stage.event(forged).reason, forged["as_expected"]) == ("kid_unknown", None)
    assert "does not know this key yet" in forged["line"]
    stage.pass_cooldown()
    assert stage.perform("forged-key")["as_expected"] is True
    stage.register("Strict", claim_conditions=["sub equals somebody else"])
    stolen = stage.perform("stolen-token")
    assert stolen["as_expected"] is False
    assert "jti_replayed" not in stolen["line"]


def test_a_refusal_of_the_client_is_not_taken_for_one_of_the_token(stage: Stage) -> None:
    result = stage.perform("forged-key", client_secret="wrong")
    assert result["line"].startswith("Refused (HTTP 401) before the token was verified.")
    assert result["as_expected"] is None


def test_an_acceptance_that_must_not_be_and_a_refusal_that_must_not_be_are_reported(stage: Stage) -> None:
    stage.register("Lenient", replay_policy="reusable-until-exp", enable_jti_verification=False)
    accepted = stage.perform("stolen-token")
    assert accepted["as_expected"] is False
    assert accepted["line"].startswith("Accepted (HTTP 200), although it must be refused with jti_replayed")
    stage.register("Strict", claim_conditions=["sub equals somebody else"])
    refused = stage.send()
    assert refused["as_expected"] is False
    assert refused["line"].startswith("Refused (HTTP 400), although it must be accepted.")


@EVERY_BEHAVIOR
def test_the_documentation_shows_the_entry_of_the_list(behavior: Behavior) -> None:
    reason = f"`{behavior.reason}`" if behavior.reason else "accepted"
    row = f"| `{behavior.name}` | {behavior.does} | {behavior.must} | {reason} |"
    assert row in (ROOT / "docs/demo-identity-provider.md").read_text().splitlines()
