"""The list of an integration's fields: each entry is complete for every connection type that has it."""

import pytest

from changegate.models import OAuthEntity
from changegate.models.integration_choices import ID_TOKEN, PASSWORD
from changegate.models.integration_field import LIST_KINDS, Field, Kind
from changegate.models.integration_fields import FIELDS, FIELDS_OF

EVERY = [(name, field) for name, fields in FIELDS_OF.items() for field in fields.values()]


def test_every_field_is_an_attribute_of_the_record() -> None:
    assert [name for name in FIELDS if not hasattr(OAuthEntity, name)] == []


@pytest.mark.parametrize(("connection_type", "field"), EVERY)
def test_an_entry_is_complete(connection_type: str, field: Field) -> None:
    assert field.label[:1].isupper()
    assert "{" not in field.label + field.help
    assert field.help == "" or field.help.endswith(".")
    assert (field.kind == Kind.CHOICE) <= bool(field.choices)
    assert (field.kind == Kind.NUMBER) <= (field.least < field.most)
    assert (field.kind == Kind.SWITCH) <= isinstance(field.default, bool)
    assert not field.choices or field.default is None or {*_values(field)} <= field.choices.keys()


def _values(field: Field) -> tuple[str, ...]:
    return field.default if field.kind in LIST_KINDS else (field.default,)


def test_a_default_is_never_shared() -> None:
    FIELDS["algorithms"].blank.append("none")
    assert "none" not in FIELDS["algorithms"].blank


def test_texts_and_defaults_are_those_of_the_connection_type() -> None:
    assert FIELDS["allow_missing_kid"].label == "Accept assertions without kid"
    assert FIELDS_OF[ID_TOKEN]["allow_missing_kid"].label == "Accept tokens without kid"
    assert FIELDS_OF[ID_TOKEN]["replay_policy"].default == "reusable-until-exp"
    assert FIELDS_OF["client_credentials"]["run_as"].label == "OAuth Application User"
    assert "issuer" not in FIELDS_OF[PASSWORD]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("jwks_url", "has no JWKS URL"),
        ("clock_skew_seconds", "has no clock skew"),
        ("jti_claim", "has no JTI claim"),
        ("allow_additional_audiences", "has no field Allow additional audiences"),
        ("public_client", "cannot be a public client"),
    ],
)
def test_a_type_without_the_field_has_its_message(name: str, sentence: str) -> None:
    assert FIELDS[name].lack == sentence
