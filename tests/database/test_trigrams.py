"""An index is asked for the rarest trigrams of a fragment, and for others that exclude enough records."""

from collections.abc import Callable, Sequence

import pytest

from changegate.database import trigrams
from changegate.database.trigrams import Lookup, choose_trigrams

TEXTS = [f"{'patch' if number % 3 else 'resize'} srv-{number:05} to build {number}" for number in range(3000)]


def counting(texts: Sequence[str], asked: list[str], most: int = 10_000) -> Callable[[str], int]:
    """Return a function that counts texts as FTS5 does, at most `most`."""

    def count(query: str) -> int:
        asked.append(query)
        phrases = [each[1:-1].replace('""', '"') for each in query.split(" AND ")]
        return min(most, sum(all(phrase in text for phrase in phrases) for text in texts))

    return count


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigrams, "FEW_DOCUMENTS", 1)


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("srv-02417", Lookup('"2417"', 1)),
        ("resize srv-024", Lookup('"res" AND "024"', 39)),
        ("417", Lookup('"417"', 3, is_exact=True)),
        ("resize", Lookup('"resize"', 1000, is_exact=True)),
        ("Größe 417", Lookup('"Grö"', 0)),
        ('a "b', Lookup('"a """', 0)),
        ("not in any text", Lookup('"not"', 0)),
    ],
)
def test_the_rarest_trigrams_are_looked_up(fragment: str, expected: Lookup) -> None:
    assert choose_trigrams(fragment, counting(TEXTS, [])) == expected


def test_a_trigram_that_is_too_frequent_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigrams, "ENTRIES_OF_ONE_COMPARISON", 1)
    assert choose_trigrams("srv-02417", counting(TEXTS, [])) == Lookup('"417"', 3)


def test_of_equally_frequent_trigrams_distant_ones_are_looked_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigrams, "ENTRIES_OF_ONE_COMPARISON", 10)
    assert choose_trigrams("resize srv-02", counting(TEXTS, [], most=900)).query == '"res" AND "-02"'


def test_trigrams_that_exclude_few_records_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigrams, "ENTRIES_OF_ONE_COMPARISON", 3)
    assert choose_trigrams("resize", counting(TEXTS, [])) == Lookup('"res"', 1000)


def test_few_of_the_trigrams_of_a_long_text_are_counted() -> None:
    asked: list[str] = []
    choose_trigrams("".join(chr(number) for number in range(1000, 2000)), counting(["x"], asked))
    assert len(set(asked)) <= trigrams.MOST_TRIGRAMS
    choose_trigrams("resize srv to build and to patch", counting(TEXTS, asked := [], most=900))
    assert len(asked) <= trigrams.MOST_TRIGRAMS + trigrams.MOST_TRIED
