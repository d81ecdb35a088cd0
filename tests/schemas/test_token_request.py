"""The token request's schema."""

import pytest
from marshmallow import ValidationError

from changegate.schemas.token_request import TokenRequestSchema

NOTHING = dict.fromkeys(
    ("grant_type", "client_id", "client_secret", "assertion", "scope", "client_assertion", "client_assertion_type")
)


def test_what_is_absent_is_none() -> None:
    assert TokenRequestSchema().load({}) == NOTHING


def test_what_is_empty_is_absent() -> None:
    assert TokenRequestSchema().load(dict.fromkeys(NOTHING, "")) == NOTHING


def test_what_is_unknown_is_ignored() -> None:
    assert TokenRequestSchema().load({"username": "a", "resource": "b"}) == NOTHING


@pytest.mark.parametrize("name", ["grant_type", "client_id", "assertion"])
def test_trims_what_is_pasted_with_line_breaks(name: str) -> None:
    assert TokenRequestSchema().load({name: " \r\nvalue\n\t"})[name] == "value"
    assert TokenRequestSchema().load({name: " \n"})[name] is None


def test_never_trims_a_secret() -> None:
    assert TokenRequestSchema().load({"client_secret": " s \n"})["client_secret"] == " s \n"


@pytest.mark.parametrize("name", ["grant_type", "client_id", "assertion"])
def test_trims_ascii_space_only(name: str) -> None:
    assert TokenRequestSchema().load({name: "\N{NO-BREAK SPACE}value"})[name] == "\N{NO-BREAK SPACE}value"


@pytest.mark.parametrize(("name", "most"), [("client_id", 255), ("client_secret", 4096), ("scope", 4096)])
def test_texts_have_an_end(name: str, most: int) -> None:
    TokenRequestSchema().load({name: "x" * most})
    with pytest.raises(ValidationError):
        TokenRequestSchema().load({name: "x" * (most + 1)})
