"""The token request's parameters."""

import pytest

from changegate.oauth_errors import InvalidRequest
from changegate.schemas.token_request import NAMES, TokenRequestForm, load_token_request


def test_an_absent_parameter_is_none() -> None:
    assert load_token_request([]) == TokenRequestForm(**dict.fromkeys(NAMES))


def test_an_empty_parameter_is_absent() -> None:
    assert load_token_request((name, "") for name in NAMES) == TokenRequestForm()


def test_an_unknown_parameter_is_ignored() -> None:
    assert load_token_request([("audience", "a"), ("resource", "b"), ("resource", "c")]) == TokenRequestForm()


@pytest.mark.parametrize("name", ["grant_type", "client_id", "assertion"])
def test_trims_line_breaks_around_pasted_values(name: str) -> None:
    assert getattr(load_token_request([(name, " \r\nvalue\n\t")]), name) == "value"
    assert getattr(load_token_request([(name, " \n")]), name) is None


@pytest.mark.parametrize("name", ["client_secret", "username", "password", "refresh_token"])
def test_never_trims_secrets_and_user_names(name: str) -> None:
    assert getattr(load_token_request([(name, " s \n")]), name) == " s \n"


@pytest.mark.parametrize("name", ["grant_type", "client_id", "assertion"])
def test_trims_ascii_space_only(name: str) -> None:
    sent = [(name, "\N{NO-BREAK SPACE}value")]

    assert getattr(load_token_request(sent), name) == "\N{NO-BREAK SPACE}value"


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *(("client_id", 255), ("client_secret", 4096), ("scope", 4096)),
        *(("username", 255), ("password", 4096), ("refresh_token", 255)),
    ],
)
def test_texts_have_an_end(name: str, most: int) -> None:
    load_token_request([(name, "x" * most)])
    with pytest.raises(InvalidRequest) as caught:
        load_token_request([(name, "x" * (most + 1))])

    assert (caught.value.reason, caught.value.detail) == ("body_malformed", f"{name} is too long")


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("values", [("a", "b"), ("", "a"), ("", "")])
def test_nothing_is_given_twice(name: str, values: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_token_request((name, value) for value in values)

    assert (caught.value.reason, caught.value.detail) == ("param_duplicate", f"{name} is given more than once")


def test_its_repr_shows_no_value() -> None:
    assert "hidden" not in repr(load_token_request([("client_secret", "hidden")]))
