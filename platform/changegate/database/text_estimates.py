"""The part of a fragment that a pg_trgm index finds fastest: without the trigrams that many texts contain.

The index reads the rows of each trigram of the words in a fragment. For any three characters, PostgreSQL estimates the
number of rows from the sample of the texts in its statistics:

    srv-00417      srv, rv-, v-0, -00: a third of the rows or more     004, 041, 417: a few in a hundred
                                                                       └── 00417 is looked up ──┘
"""

import re
import threading
from itertools import groupby

from cachetools import TTLCache
from sqlalchemy import text as sql

from changegate.database.text_search import ESCAPE, like_pattern
from changegate.database.trigrams import LENGTH, MOST_TRIGRAMS
from changegate.database.unit_of_work import connection

# Shares of the rows: trigrams in more than FREQUENT are left out if the others find at most FEW.
FREQUENT, FEW = 0.1, 0.01
KEPT_SECONDS = 3600.0
# pg_trgm takes trigrams from letters and digits only. Without any, it reads the whole index.
_LOOKED_UP = re.compile(r"[^\W_]{2}")


class TextEstimates:
    """Estimates of how many rows of a table have a text in `document`, an SQL expression."""

    def __init__(self, table_name: str, document: str) -> None:
        pattern = f"'%' || lower(:text) || '%' ESCAPE '{ESCAPE}'"
        self._explain = sql(f"EXPLAIN (FORMAT JSON) SELECT FROM {table_name} WHERE {document} LIKE {pattern}")
        self._known = TTLCache[str, float](10_000, KEPT_SECONDS)
        self._lock = threading.Lock()

    def find_rare_part(self, fragment: str) -> str:
        """Return the longest part without frequent trigrams if few rows have it, otherwise the fragment."""
        starts = range(min(len(fragment) - LENGTH + 1, MOST_TRIGRAMS))
        rows = self.count("")
        runs = groupby(starts, lambda start: self.count(fragment[start : start + LENGTH]) < FREQUENT * rows)
        rare = [fragment[run[0] : run[-1] + LENGTH] for is_rare, each in runs if is_rare and (run := [*each])]
        part = max(filter(_LOOKED_UP.search, rare), key=len, default="")
        return part if part and self.count(part) <= FEW * rows else fragment

    def count(self, text: str) -> float:
        """Return about how many rows have a text."""
        with self._lock:
            known = self._known.get(text)
        if known is None:
            [plan] = connection().execute(self._explain, {"text": like_pattern(text).value}).scalar_one()
            known = float(plan["Plan"]["Plan Rows"])
            with self._lock:
                self._known[text] = known
        return known
