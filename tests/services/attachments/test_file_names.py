"""What may be the name of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.errors import RequestUnreadable
from changegate.services.attachments.file_names import MAX_FILE_NAME_LENGTH, last_part, parse_file_name


@pytest.mark.parametrize(
    "name",
    [
        "deploy.log",
        ".env",
        "two words.txt",
        "Änderungsplan (neu).pdf",
        "変更計画.xlsx",
        "תוכנית.txt",
        "family 👨\u200d👩\u200d👧.png",
        'quoted "name"; filename=x.txt',
        "a" * MAX_FILE_NAME_LENGTH,
    ],
)
def test_a_valid_name_is_kept(name: str) -> None:
    assert parse_file_name(name) == name


def test_blanks_around_a_name_are_dropped() -> None:
    assert parse_file_name("  plan.txt\u3000") == "plan.txt"


@pytest.mark.parametrize("name", ["", "   ", "\t\n"])
def test_refuses_no_name(name: str) -> None:
    with pytest.raises(RequestUnreadable) as refused:
        parse_file_name(name)
    assert refused.value.detail == "Field file_name: a name is expected"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\\b.exe", "C:\\x.txt", "..", ".", "a/", "./a"])
def test_refuses_a_path(name: str) -> None:
    with pytest.raises(RequestUnreadable) as refused:
        parse_file_name(name)
    assert refused.value.detail == "Field file_name: a name is expected, not a path"


@pytest.mark.parametrize(
    "name",
    ["a\0b", "a\r\nSet-Cookie: x", "a\x7f", "a\x85b", "\ud800", "fdp\u202excod.exe", "a\u2066b", "a\u2028b"],
    ids=ascii,
)
def test_refuses_deceptive_names(name: str) -> None:
    with pytest.raises(RequestUnreadable) as refused:
        parse_file_name(name)
    assert "control characters" in str(refused.value.detail)


def test_refuses_a_name_that_is_too_long() -> None:
    with pytest.raises(RequestUnreadable) as refused:
        parse_file_name("a" * (MAX_FILE_NAME_LENGTH + 1))
    assert refused.value.detail == "Field file_name: 256 characters are more than the 255 it holds"


@given(st.text())
def test_no_text_becomes_a_name_that_leads_elsewhere(text: str) -> None:
    try:
        name = parse_file_name(text)
    except RequestUnreadable:
        return
    assert name == name.strip()
    assert name not in {"", ".", ".."}
    assert not set(name) & set("/\\\0\r\n\u202e")
    assert name.encode()


@pytest.mark.parametrize(
    ("path", "name"),
    [("plan.txt", "plan.txt"), ("C:\\temp\\plan.txt", "plan.txt"), ("/tmp/plan.txt", "plan.txt"), ("a/..", "..")],
)
def test_the_path_before_a_name_in_a_form_is_dropped(path: str, name: str) -> None:
    assert last_part(path) == name
