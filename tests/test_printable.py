"""Text from outside, made safe to show."""

import pytest

from changegate.printable import printable, typed


@pytest.mark.parametrize(
    "character", ["\0", "\x1b", "\n", "\r", "\x7f", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{ZERO WIDTH SPACE}"]
)
def test_replaces_what_moves_the_cursor_or_the_direction(character: str) -> None:
    assert printable(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert typed(f" a{character}b ") == "ab"


def test_cuts_before_it_shows() -> None:
    assert printable("abc\0", 3) == "abc"
    assert printable("Grüße \N{EM DASH} 5 €") == "Grüße \N{EM DASH} 5 €"
