"""What rules say: kept as parts, read as words."""

import orjson
import pytest

from changegate.services.assertions.phrases import put_into_words
from changegate.services.assertions.report import Report, read_rows

SECOND = 1795834271
SAID = "2026-11-28 02:51:11 UTC"


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        (("after", SECOND), f"a number, after {SAID}"),
        (("until", SECOND + 0.75), f"absent, or a number up to {SAID}"),
        (("between", 0, SECOND), f"a number, from 1970-01-01 00:00:00 UTC to {SAID}"),
        (("instant", SECOND), f"{SECOND} ({SAID})"),
        (("instant", SECOND + 0.5), f"{SECOND}.5 ({SAID})"),
        (("at most seconds", 3600.0), "at most 3600 seconds"),
        (("seconds", -20.4), "-20 seconds"),
        (("bytes", 464), "464 bytes"),
        (("characters", "uti", 255), "uti: 1 to 255 characters"),
    ],
)
def test_a_phrase_that_was_kept_is_put_into_words(phrase: tuple[str | float, ...], words: str) -> None:
    rows = orjson.loads(orjson.dumps(Report([("rule", None, phrase, phrase)]).as_rows()))
    assert rows == [["rule", None, list(phrase), list(phrase)]]
    (result,) = read_rows(rows)
    assert (result.expected, result.received) == (words, words)


@pytest.mark.parametrize("second", [-1e300, -1.0])
def test_a_moment_before_all_others_is_the_first(second: float) -> None:
    assert put_into_words(["after", second]) == "a number, after 1970-01-01 00:00:00 UTC"


def test_a_moment_beyond_what_can_be_told_is_the_last() -> None:
    assert put_into_words(["after", 1e300]) == "a number, after 9999-12-31 23:59:59 UTC"


@pytest.mark.parametrize("phrase", [["since", 5], ["bytes"], ["after", "noon"], ["seconds", None], [7]])
def test_what_another_release_has_kept_is_shown_as_it_is(phrase: list[str | float]) -> None:
    assert put_into_words(phrase) == orjson.dumps(phrase).decode().replace(",", ", ")


def test_words_are_as_printable_and_short_as_all_that_is_shown() -> None:
    (result,) = read_rows([["rule", None, ["characters", "\x1b[31m", 255], ["characters", "x" * 300, 1]]])
    assert result.expected == "\ufffd[31m: 1 to 255 characters"
    assert result.received == "x" * 200
