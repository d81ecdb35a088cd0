"""The selection of cases: all, or some of them with those that they are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.errors import BenchFailed
from benchmarks.ratios import MILLION, RATIOS

FLOORS = ("a", "b", "b-unsigned", "c", "g")
PEERS = ("peer", "peer-driver")
EXCHANGES = ("d-rs256", "d-es256")
TRUST = ("d-report", "d-rotation", "d-down", "d-calm", "d-flood")
TABLES = ("e", "f", "h", "i", "j")
SCOPES = ("k-opaque", "k-jwt", "l-opaque", "l-jwt", "m-unscoped", "m-scoped", "n-one", "n-own-1", "n-own-20")
OF_A_MILLION = tuple(f"{name}{MILLION}" for name in ("e", "f", "h", "i"))
# Each sends requests of several kinds.
LIVES, PLANNING, PAGES, QUERIES, SIZES = SCENARIOS = ("lives", "planning", "pages", "queries", "sizes")
NAMES = (*FLOORS, *PEERS, *EXCHANGES, *TRUST, *TABLES, *SCOPES, *SCENARIOS, *OF_A_MILLION)
# Words that select several cases, in addition to the letters.
GROUPS = {"floors": FLOORS, "trust": TRUST, "scopes": SCOPES}


@dataclass(frozen=True)
class Selection:
    """The names of the selected cases."""

    names: frozenset[str] = frozenset(NAMES)

    def wants(self, *names: str) -> bool:
        """Return whether any of these cases is selected."""
        return not self.names.isdisjoint(names)

    @property
    def is_all(self) -> bool:
        """Return whether all cases are selected."""
        return self.names == frozenset(NAMES)


def select(asked: str | None) -> Selection:
    """Return the cases with these names, which are separated by commas; all cases for None.

    A letter selects all cases that begin with it, and the name of a group all cases of the group. The cases that a
    selected case is compared with are selected, too. Raises `BenchFailed`.
    """
    if asked is None:
        return Selection()
    found = {name for word in asked.split(",") for name in _named(word.strip())}
    return Selection(frozenset(found | {ratio.floor for ratio in RATIOS if ratio.case in found}))


def _named(word: str) -> Sequence[str]:
    if word in GROUPS:
        return GROUPS[word]
    names = [word] if word in NAMES and "-" in word else [name for name in NAMES if name.split("-")[0] == word]
    if not names:
        raise BenchFailed(f"There is no case {word!r}. There are: {', '.join(NAMES)}.")
    return names
