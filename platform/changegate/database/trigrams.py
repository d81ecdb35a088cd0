"""The trigrams of a fragment to look up in an FTS5 index: the rarest, and others that exclude many records.

FTS5 reads the list of documents of each trigram in a query. Reading the list of a frequent trigram takes longer than
comparing the texts of the records that the trigram would exclude:

    srv-00417      417: 15,000 documents     0417: 3,000     00417: 440     srv-00417: 236
    of 1,000,000   read: 15,000              50,000          130,000        3,500,000
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

LENGTH = 3
MOST_TRIGRAMS = 24
# The number of further trigrams to try, and the share of the documents that each must exclude.
MOST_TRIED, EXCLUDED = 12, 0.3
# Comparing so few documents is as fast as reading the list of another trigram. Comparing one takes as long as reading
# 100 entries of a list.
FEW_DOCUMENTS, ENTRIES_OF_ONE_COMPARISON = 200, 100


class Lookup(NamedTuple):
    """A query for the records that may contain a fragment, in the language of FTS5, and how many documents it finds.

    If `is_exact`, all of them contain the fragment, and there may be fewer.
    """

    query: str
    documents: int
    is_exact: bool = False


def choose_trigrams(fragment: str, count: Callable[[str], int]) -> Lookup:
    """Return the query for the trigrams of a fragment to look up; `count` returns how many documents a query finds."""
    last = len(fragment) - LENGTH
    number = min(last + 1, MOST_TRIGRAMS)
    starts = {last * at // max(number - 1, 1) for at in range(number)}
    frequencies = {start: count(_query_for(fragment, [start])) for start in starts}
    rarest = min(starts, key=lambda start: (frequencies[start], start))
    chosen, tried, documents = {rarest}, {rarest}, frequencies[rarest]
    for _ in range(min(len(starts) - 1, MOST_TRIED)):
        # Of those that are equally frequent, the farthest is the least likely to be part of the same words.
        start = min(starts - tried, key=lambda start: (frequencies[start], -min(abs(start - each) for each in tried)))
        if documents <= FEW_DOCUMENTS or frequencies[start] > documents * ENTRIES_OF_ONE_COMPARISON:
            break
        tried.add(start)
        with_both = count(_query_for(fragment, {*chosen, start}))
        if with_both <= documents * (1 - EXCLUDED):
            chosen.add(start)
            documents = with_both
    # FTS5 also ignores the case of letters that a comparison distinguishes.
    can_be_exact = fragment.isascii() and number == last + 1 and documents > FEW_DOCUMENTS
    if can_be_exact and sum(frequencies.values()) <= documents * ENTRIES_OF_ONE_COMPARISON:
        return Lookup(_query_for(fragment, starts), documents, is_exact=True)
    return Lookup(_query_for(fragment, chosen), documents)


def _query_for(fragment: str, starts: Iterable[int]) -> str:
    """Return the query for some trigrams of a fragment: those that follow each other are one phrase."""
    parts: list[list[int]] = []
    for start in sorted(starts):
        if parts and start == parts[-1][-1] + 1:
            parts[-1].append(start)
        else:
            parts.append([start])
    return " AND ".join(_quoted(fragment[part[0] : part[-1] + LENGTH]) for part in parts)


def _quoted(phrase: str) -> str:
    doubled = phrase.replace('"', '""')
    return f'"{doubled}"'
