"""Steps that fill in the form before it is saved."""

import json
from typing import Any

import pytest

from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.steps import take_step

TENANT = "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90"


def rows_of(form: IntegrationForm) -> list[tuple[str, str, str, str]]:
    """Return the conditions of a form, the essential of each."""
    named = ("claim", "operator", "value_type", "value")
    return [tuple(row[name] for name in named) for row in form.values["claim_conditions"]]


def pinned(claim: object, value: object, form: IntegrationForm | None = None) -> IntegrationForm:
    """Return a form after a claim was pinned."""
    return take_step(form or IntegrationForm.blank(), "pin " + json.dumps({"claim": claim, "value": value}))


def chosen(preset: str, **values: Any) -> IntegrationForm:
    """Return a form in which a provider was chosen."""
    return take_step(IntegrationForm.blank().changed(preset=preset, **values), "preset")


def test_adds_rows_and_takes_them_away() -> None:
    form = take_step(IntegrationForm.blank(), "add claim_conditions")
    assert rows_of(form) == [("", "equals", "string", "")]
    assert form.focus == "claim_conditions-0-claim"
    two = take_step(take_step(form, "bind sub"), "remove claim_conditions 0")
    assert rows_of(two) == [("sub", "equals", "string", "")]
    assert take_step(form, "add verifier_maps").values["verifier_maps"][0]["enforce_dates"] is True


@pytest.mark.parametrize(
    "step",
    [
        *("", "dance", "add", "add name", "remove", "remove claim_conditions", "remove claim_conditions -1"),
        *("remove claim_conditions 7", "pin", "pin {", "pin []", "pin 1", 'pin {"claim": "a"}', "preset", "fill"),
        "pin " + "[" * 100_000,
    ],
)
def test_an_invalid_step_changes_nothing(step: str) -> None:
    before = pinned("sub", "x")
    assert take_step(before, step).values == before.values


@pytest.mark.parametrize(
    ("value", "row"),
    [
        ("42", ("c", "equals", "string", "42")),
        (42, ("c", "equals", "number", "42")),
        (1.5, ("c", "equals", "number", "1.5")),
        (False, ("c", "equals", "boolean", "false")),
        (["a", "b"], ("c", "equals", "list", "a\nb")),
    ],
)
def test_pins_a_claim_to_its_value_and_type(value: object, row: tuple[str, ...]) -> None:
    assert rows_of(pinned("c", value)) == [row]


@pytest.mark.parametrize("value", [None, {}, [], [1], "", " x", "a\nb", ["a\nb"], "x" * 1001])
def test_a_value_that_no_condition_can_contain_is_not_pinned(value: object) -> None:
    assert rows_of(pinned("c", value)) == []


@pytest.mark.parametrize("claim", [None, 1, "", "c" * 256])
def test_a_value_that_is_not_a_claim_is_not_pinned(claim: object) -> None:
    assert rows_of(pinned(claim, "x")) == []


def test_pins_nothing_twice() -> None:
    assert len(rows_of(pinned("sub", "x", pinned("sub", "x")))) == 1


def test_a_pin_fills_in_the_row_that_waits_for_it() -> None:
    waiting = take_step(take_step(IntegrationForm.blank(), "bind sub"), "bind repository_id")
    form = pinned("repository_id", "42", waiting)
    assert rows_of(form) == [("sub", "equals", "string", ""), ("repository_id", "equals", "string", "42")]


def test_a_provider_without_tenants_in_its_issuer_is_filled_in_at_once() -> None:
    form = chosen("github-actions")
    assert form.values["issuer"] == "https://token.actions.githubusercontent.com"
    assert form.values["jwks_url"] == "https://token.actions.githubusercontent.com/.well-known/jwks"
    assert form.values["provider_name"] == "GitHub Actions"
    assert form.values["max_assertion_lifetime_seconds"] == 900
    assert rows_of(form) == [("repository_id", "equals", "string", "")]


def test_does_not_ask_for_a_pin_that_is_there() -> None:
    there = pinned("repository_owner_id", "7").changed(preset="github-actions")
    assert rows_of(take_step(there, "preset")) == [("repository_owner_id", "equals", "string", "7")]


def test_a_provider_with_tenants_asks_for_their_parts_first() -> None:
    form = chosen("entra-id")
    assert (form.values["issuer"], form.focus) == ("", "placeholder-tenant_id")
    assert (form.values["jti_claim"], form.values["enable_jti_verification"]) == ("uti", False)
    refused = take_step(form, "fill")
    assert list(refused.errors) == ["placeholder-tenant_id"]
    filled = take_step(IntegrationForm(form.values, placeholders={"tenant_id": f" {TENANT} "}), "fill")
    assert filled.values["issuer"] == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert TENANT in filled.values["jwks_url"]


def test_tenant_fields_of_another_provider_are_removed() -> None:
    assert chosen("gitlab", place="eks").values["place"] == "gitlab.com"
    assert chosen("gitlab", place="self-managed").values["place"] == "self-managed"


def test_the_issuer_of_another_provider_is_removed() -> None:
    changed = take_step(chosen("github-actions").changed(preset="entra-id"), "preset")
    assert (changed.values["issuer"], changed.values["jwks_url"]) == ("", "")


def test_an_entered_provider_name_is_kept() -> None:
    assert chosen("gitlab", provider_name="Shop team").values["provider_name"] == "Shop team"
    assert chosen("gitlab", provider_name="GitHub Actions").values["provider_name"] == "GitLab CI"
