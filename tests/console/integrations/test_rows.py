"""Rows of the form, and the choices that decide which of its fields count."""

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from changegate.console.integrations.choices import OWN_INPUTS
from changegate.console.integrations.form import PLACE, IntegrationForm, form_of_entity
from changegate.console.integrations.rows import CLAIM_CONDITIONS, MAX_ROWS, ROW_KINDS
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES
from changegate.models.integration_field import Kind
from changegate.models.integration_fields import FIELDS
from changegate.schemas.integration import SCHEMAS
from tests.console.integrations.test_form import GOOD, errors_of, form
from tests.guards.source_tree import PRODUCT

ROWS = (Kind.CONDITIONS, Kind.VERIFIER_MAPS)
TEMPLATES = PRODUCT / "console" / "templates" / "console"
PIN = [("claim", "repository_id"), ("operator", "equals"), ("value_type", "string"), ("value", "42")]


def condition(number: int, *changes: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the fields of a condition's row."""
    return [(f"claim_conditions-{number}-{name}", value) for name, value in (dict(PIN) | dict(changes)).items()]


def verifier_map(**changes: str) -> list[tuple[str, str]]:
    """Return the fields of a verifier map's row."""
    usual = {"name": "signer", "kid": "k1", "certificate": "", "shared_key": "", "enforce_dates": "on"}
    return [(f"verifier_maps-0-{name}", value) for name, value in (usual | changes).items()]


@pytest.mark.parametrize("connection_type", TYPES)
def test_reads_every_field_of_the_schema(connection_type: str) -> None:
    """A field that was taken for a text, or left out, would be wiped when somebody saves the form."""
    known = SCHEMAS[connection_type].fields
    assert {field.name for field in TYPES[connection_type].fields.values() if field.kind in ROWS} == (
        ROW_KINDS.keys() & known.keys()
    )
    shown = {*IntegrationForm.blank(TYPES[connection_type]).values} - {"subject_rule", PLACE}
    assert shown == {*IntegrationForm.of_request(MultiDict(), TYPES[connection_type]).values} - {"subject_rule", PLACE}
    assert shown == known.keys() - {"type"}


def test_fields_without_a_plain_input_have_a_template_of_their_own() -> None:
    plain = (TEMPLATES / "macros.html").read_text().partition("macro plain_field")[2]
    others = {name for name, field in FIELDS.items() if f'"{field.kind}"' not in plain}
    assert {"algorithms", "claim_conditions", "verifier_maps"} <= others <= OWN_INPUTS <= FIELDS.keys()


def test_takes_conditions_in_the_order_of_their_numbers() -> None:
    rows = [*condition(10, ("claim", "b")), *condition(2, ("claim", "a"))]
    loaded = form(*rows).load()["claim_conditions"]
    assert [found["claim"] for found in loaded] == ["a", "b"]
    assert loaded[0] == dict(PIN) | {"claim": "a", "report_only": False}


def test_reads_several_values_one_a_line() -> None:
    rows = condition(0, ("operator", "one_of"), ("value", "1\r\n2\r\n"))
    assert form(*rows).load()["claim_conditions"][0]["value"] == ["1", "2"]


def test_a_ticked_box_makes_a_condition_report_only() -> None:
    assert form(*condition(0, ("report_only", "on"))).load()["claim_conditions"][0]["report_only"] is True


def test_leaves_out_rows_in_which_nothing_was_typed() -> None:
    blank = condition(0, ("claim", " "), ("value", ""))
    assert [found["claim"] for found in form(*blank, *condition(1)).load()["claim_conditions"]] == ["repository_id"]


def test_shows_errors_at_their_rows() -> None:
    blank = condition(0, ("claim", ""), ("value", ""))
    wrong = condition(1, ("operator", "glob"), ("value", "a/**"))
    [(field, [sentence])] = errors_of(*blank, *wrong).items()
    assert field == "claim_conditions-1-value"
    assert "** is not a wildcard" in sentence


def test_limits_the_number_of_rows() -> None:
    many = [field for number in range(MAX_ROWS + 50) for field in condition(number, ("claim", f"c{number}"))]
    assert len(form(*many).values["claim_conditions"]) == MAX_ROWS
    assert "claim_conditions" in errors_of(*many)


@pytest.mark.parametrize(
    "name",
    [
        *("claim_conditions-x-claim", "claim_conditions--1-claim", "claim_conditions-99999-claim"),
        *("claim_conditions-0-", "claim_conditions-\N{ARABIC-INDIC DIGIT THREE}-claim"),
    ],
)
def test_ignores_fields_that_are_not_rows(name: str) -> None:
    assert CLAIM_CONDITIONS.read(MultiDict([(name, "x")])) == []


def test_what_belongs_to_another_key_source_does_not_count() -> None:
    loaded = form(("key_source", "jwks"), ("jwks", "{}"), *verifier_map()).load()
    assert (loaded["jwks_url"], loaded["jwks"], loaded["verifier_maps"]) == ("", "{}", [])
    assert form(("jwks", "not even JSON")).load()["jwks"] is None


def test_a_shared_key_that_is_left_blank_is_left_out() -> None:
    rows = verifier_map(certificate="not for this source")
    loaded = form(("key_source", "shared_key"), ("algorithms", "HS256"), *rows).load()
    assert loaded["verifier_maps"][0]["shared_key"] is None
    assert loaded["verifier_maps"][0]["certificate"] is None
    assert loaded["jwks_url"] == ""


def test_algorithms_of_the_other_kind_of_keys_do_not_count() -> None:
    both = [("algorithms", "RS256"), ("algorithms", "HS256")]
    assert form(*both).load()["algorithms"] == ["RS256"]
    assert form(("key_source", "shared_key"), *both, *verifier_map()).load()["algorithms"] == ["HS256"]


def test_an_algorithm_that_is_unknown_is_refused() -> None:
    assert "algorithms" in errors_of(("algorithms", "none"))


def test_starts_with_an_algorithm_for_each_kind_of_keys() -> None:
    assert IntegrationForm.blank().values["algorithms"] == ["RS256", "ES256", "HS256"]


def test_keeps_all_input_in_rows() -> None:
    typed = MultiDict([*GOOD, *condition(0, ("value", " <b>\r\n")), *verifier_map(shared_key=" s ")])
    values = IntegrationForm.of_request(typed).with_errors({"name": ["x"]}).values
    assert values["claim_conditions"][0]["value"] == " <b>\r\n"
    assert values["verifier_maps"][0]["shared_key"] == " s "


def test_shows_stored_values_in_input_format() -> None:
    stored: list[dict[str, Any]] = [
        {"claim": "a", "operator": "one_of", "value_type": "number", "value": [1, 2.5], "report_only": False},
        {"claim": "b", "operator": "equals", "value_type": "boolean", "value": True, "report_only": True},
        {"claim": "c", "operator": "exists", "value_type": "string", "value": None, "report_only": False},
    ]
    entity = OAuthEntity(
        type="jwt_bearer", issuer="https://ci.example.com",
        algorithms=["ES384"], audiences=["one", "two"], claim_conditions=stored,
    )  # fmt: skip
    shown = form_of_entity(entity)
    assert [row["value"] for row in shown.values["claim_conditions"]] == ["1\n2.5", "true", ""]
    assert shown.values["audiences"] == "one\ntwo"
    assert shown.values["algorithms"] == ["ES384", "HS256"]
