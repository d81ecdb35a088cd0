"""Glob patterns: compared with a plain implementation of their definition, and the length of their searches."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.assertions.segment_glob import compile_glob

# So few characters that patterns and texts meet often.
patterns = st.text("ab/:*.", min_size=1, max_size=12).filter(lambda text: "**" not in text)
texts = st.text("ab/:.", max_size=14)


def reads_as(pattern: str, text: str) -> bool:
    """Return whether a text matches, from the definition: a wildcard is nothing, or one character and itself again."""

    @cache
    def fits(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(text)
        if pattern[at] != "*":
            return place < len(text) and text[place] == pattern[at] and fits(at + 1, place + 1)
        return fits(at + 1, place) or (place < len(text) and text[place] not in "/:" and fits(at, place + 1))

    return fits(0, 0)


@given(patterns, texts)
def test_matches_by_the_definition_of_the_pattern(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) is reads_as(pattern, text)


@given(patterns, st.lists(st.text("ab.", max_size=4), min_size=12, max_size=12))
def test_matches_whatever_stands_for_its_wildcards(pattern: str, words: list[str]) -> None:
    head, *pieces = pattern.split("*")
    assert compile_glob(pattern)(head + "".join(map("".join, zip(words, pieces, strict=False))))


@given(st.text(min_size=1).filter(lambda text: "*" not in text), st.text())
def test_a_pattern_without_wildcards_matches_itself_alone(pattern: str, text: str) -> None:
    matches = compile_glob(pattern)
    assert matches(pattern)
    assert matches(text) is (text == pattern)


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        ("repo:acme/*", ["repo:acme/shop", "repo:acme/"], ["repo:acme-evil/shop", "repo:acme/shop:ref:x"]),
        ("repo:org*", ["repo:org", "repo:org-evil"], ["repo:org-evil/shop", "repo:org/shop"]),
        ("refs/heads/*", ["refs/heads/main"], ["refs/heads/a/b", "x/refs/heads/main", "refs/heads", "REFS/heads/main"]),
        ("refs/heads/release-*", ["refs/heads/release-1.2"], ["refs/heads/release-1/x", "refs/heads/release"]),
        ("*/shop", ["acme/shop", "/shop"], ["a/b/shop", "a:b/shop", "acme/shop\n", "acme/shopping"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["ab/c", "acb", "abcd"]),
        ("a/*b*", ["a/xby", "a/b"], ["a/x/b", "a/b/y"]),
        ("a*b*b", ["abb", "axbyb"], ["ab"]),
        ("ab*a*c", ["abac"], ["abc", "ab/ac"]),
        ("ab*ba", ["abba"], ["aba"]),
        ("*a/b*", ["a/b", "xa/by"], ["x/a/b", "a/b/c", "ab"]),
        ("*", ["", "anything", "ünï"], ["a/b", "a:b", ":", "/", "/a"]),
        ("a.c", ["a.c"], ["abc"]),
        ("a?[b]", ["a?[b]"], ["axb"]),
        (r"a\*", [r"a\x"], ["a*"]),
    ],
)
def test_a_wildcard_stays_within_its_segment(pattern: str, admitted: list[str], refused: list[str]) -> None:
    matches = compile_glob(pattern)
    assert [text for text in admitted if not matches(text)] == []
    assert [text for text in refused if matches(text)] == []


@pytest.mark.parametrize("pattern", ["", "**", "a/**", "***", "repo:**/x"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compile_glob(pattern)


class SearchedText(str):
    """A text that counts the characters that searches in it pass, and the searches."""

    searches = 0
    passed = 0

    def find(self, sub: str, start: int = 0, end: int | None = None) -> int:
        """Search as `str` does."""
        end = len(self) if end is None else end
        place = super().find(sub, start, end)
        self.searches += 1
        self.passed += max(0, (end if place < 0 else place + len(sub)) - start)
        return place


@pytest.mark.parametrize(
    ("pattern", "unit"),
    [
        ("*a" * 300 + "*b*", "aaaa"),
        ("*" + "a" * 250 + "b" + "a" * 249 + "*", "aaaa"),
        ("*" + "aaab" * 100 + "b*", "aaab"),
        ("*ab" * 200 + "*c*", "abab"),
        ("a" * 500 + "*" + "a" * 500, "aaaa"),
    ],
    ids=[
        "pieces that fit everywhere",
        "a piece that nearly fits",
        "a periodic piece",
        "a last piece that is missing",
        "long ends",
    ],
)
def test_each_part_of_a_text_is_searched_a_few_times_at_most(pattern: str, unit: str) -> None:
    text = SearchedText(unit * 30_000)
    compile_glob(pattern)(text)
    # For one piece, for each of the two separators, and once more by the search that fails.
    assert 0 < text.passed <= 4 * len(text)
    assert text.searches <= 3 * pattern.count("*") + 3
