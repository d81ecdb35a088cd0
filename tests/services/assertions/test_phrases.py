"""Phrases: stored as parts, shown in words."""

import orjson
import pytest

from changegate.services.assertions.phrases import Phrase
from changegate.services.assertions.report import Report, RuleCheck, read_rows

SECOND = 1795834271
TEXT = "2026-11-28 02:51:11 UTC"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("after", SECOND), f"a number, after {TEXT}"),
        (("until", SECOND + 0.75), f"absent, or a number up to {TEXT}"),
        (("between", 0, SECOND), f"a number, from 1970-01-01 00:00:00 UTC to {TEXT}"),
        (("instant", SECOND), f"{SECOND} ({TEXT})"),
        (("instant", SECOND + 0.5), f"{SECOND}.5 ({TEXT})"),
        (("at most seconds", 3600.0), "at most 3600 seconds"),
        (("seconds", -20.4), "-20 seconds"),
        (("bytes", 464), "464 bytes"),
        (("characters", "uti", 255), "uti: 1 to 255 characters"),
    ],
)
def test_a_stored_phrase_is_put_into_words(parts: tuple[str | float, ...], words: str) -> None:
    rows = orjson.loads(orjson.dumps(Report([RuleCheck("rule", None, Phrase(*parts), Phrase(*parts))]).as_rows()))
    assert rows == [["rule", None, list(parts), list(parts)]]
    (result,) = read_rows(rows)
    assert (result.expected, result.received) == (words, words)


@pytest.mark.parametrize("second", [-1e300, -1.0])
def test_an_instant_before_1970_is_shown_as_1970(second: float) -> None:
    assert str(Phrase("after", second)) == "a number, after 1970-01-01 00:00:00 UTC"


def test_an_instant_after_the_year_9999_is_shown_as_its_end() -> None:
    assert str(Phrase("after", 1e300)) == "a number, after 9999-12-31 23:59:59 UTC"


@pytest.mark.parametrize("parts", [["since", 5], ["bytes"], ["after", "noon"], ["seconds", None], [7]])
def test_an_unknown_or_malformed_phrase_is_shown_as_json(parts: list[str | float]) -> None:
    assert str(Phrase(*parts)) == orjson.dumps(parts).decode().replace(",", ", ")


def test_words_are_printable_and_at_most_200_characters() -> None:
    (result,) = read_rows([["rule", None, ["characters", "\x1b[31m", 255], ["characters", "x" * 300, 1]]])
    assert result.expected == "\ufffd[31m: 1 to 255 characters"
    assert result.received == "x" * 200
