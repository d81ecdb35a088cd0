"""The form of an integration: reading, defaults, and errors."""

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from changegate.console.integrations.form import IntegrationForm
from changegate.errors import InputInvalid

GOOD = [
    ("name", "Build pipeline"),
    ("provider_name", "Example CI"),
    ("issuer", "https://ci.example.com"),
    ("jwks_url", "https://ci.example.com/jwks"),
    ("subject_rule", "run_as"),
    ("run_as", "admin"),
    ("user_field", "email"),
    ("active", "on"),
    ("algorithms", "RS256"),
]


def form(*changes: tuple[str, str]) -> IntegrationForm:
    """Return a good form with some fields replaced."""
    replaced = {name for name, _ in changes}
    kept = [(name, value) for name, value in GOOD if name not in replaced]
    return IntegrationForm.of_request(MultiDict([*kept, *changes]))


def errors_of(*changes: tuple[str, str]) -> dict[str, list[str]]:
    """Return what a changed form is refused for."""
    with pytest.raises(InputInvalid) as caught:
        form(*changes).load()
    return dict(caught.value.fields)


def test_starts_with_the_defaults_of_the_schema() -> None:
    values = IntegrationForm.blank().values
    assert values["access_token_lifespan_seconds"] == 1800
    assert values["algorithms"][:2] == ["RS256", "ES256"]
    assert values["enable_jti_verification"] is True
    assert (values["name"], values["comments"], values["audiences"]) == ("", "", "")
    assert values["scopes"] == ["change_request.create"]


def test_a_box_that_is_not_sent_is_off() -> None:
    loaded = form().load()
    assert (loaded["active"], loaded["public_client"], loaded["enable_jti_verification"]) == (
        True,
        False,
        False,
    )


def test_takes_one_audience_a_line() -> None:
    assert form(("audiences", " a \r\n\r\nb\r\na")).load()["audiences"] == ["a", "b"]


@pytest.mark.parametrize(("rule", "dropped"), [("run_as", "user_field"), ("user_field", "run_as")])
def test_loads_only_the_chosen_subject_rule(rule: str, dropped: str) -> None:
    loaded = form(("subject_rule", rule)).load()
    assert loaded[rule]
    assert loaded[dropped] is None


def test_a_chosen_rule_needs_its_field() -> None:
    assert "run_as" in errors_of(("run_as", " "))


def test_empty_numbers_take_their_defaults() -> None:
    assert form(("clock_skew_seconds", "")).load()["clock_skew_seconds"] == 60


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("name", "", "This field is required."),
        ("name", "x" * 101, "At most 100 characters."),
        ("issuer", "a\x07b", "Control characters are not allowed."),
        ("clock_skew_seconds", "301", "Give a whole number from 0 to 300."),
        ("clock_skew_seconds", "9" * 5000, "Give a whole number."),
        ("access_token_lifespan_seconds", "soon", "Give a whole number."),
        ("audiences", f"ok\n{'x' * 256}", "At most 255 characters."),
    ],
)
def test_shows_errors_at_their_fields(name: str, value: str, sentence: str) -> None:
    assert errors_of((name, value)) == {name: [sentence]}


def test_keeps_all_input() -> None:
    typed: dict[str, Any] = {"name": " <b> ", "clock_skew_seconds": "soon", "audiences": "a\r\n\r\nb "}
    kept = form(*typed.items()).with_errors({"name": ["x"]})
    assert {name: kept.values[name] for name in typed} == typed
    assert kept.errors == {"name": ["x"]}


def test_a_form_without_anything_is_refused_at_its_fields() -> None:
    with pytest.raises(InputInvalid) as caught:
        IntegrationForm.of_request(MultiDict()).load()
    assert {"name", "provider_name", "issuer", "jwks_url", "algorithms"} <= caught.value.fields.keys()
