"""What is measured: each case with its traffic, and the ratios that have a target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Traffic, write_feed
from tests.bench.product import CHANGE_PATH, TOKEN_PATH, Instance, change_body
from tests.bench.signing import Signer

FORM = ("Content-Type", "application/x-www-form-urlencoded")
TEXT = ("Content-Type", "text/plain")
JSON = (("Accept", "application/json"), ("Content-Type", "application/json"))
# A floor has no replay check, so a small feed that is sent again and again costs it the same.
FLOOR_ASSERTIONS = 500


@dataclass(frozen=True)
class Case:
    """One row of the result; `traffic` gives what a run sends when told how many requests it may need."""

    name: str
    label: str
    base_url: str
    traffic: Callable[[int], Traffic]


@dataclass(frozen=True)
class Ratio:
    """A case in relation to its floor."""

    case: str
    floor: str
    target: float


RATIOS = (
    Ratio("d-rs256", "b", 0.35),
    Ratio("d-es256", "b", 0.35),
    Ratio("e", "b", 0.35),
    Ratio("f", "c", 0.30),
)


def floor_cases(base_url: str, folder: Path, signer: Signer, sys_ids: list[str]) -> list[Case]:
    """Return the cases a, b and c."""
    bare = Traffic(method="GET", feed=write_feed(folder / "a", ["/bare"]), feeds="path")
    assertions = write_feed(folder / "b", [signer.sign("RS256") for _ in range(FLOOR_ASSERTIONS)])
    exchange = Traffic(method="POST", path="/exchange", feed=assertions, headers=(TEXT,))
    paths = write_feed(folder / "c", [f"/change/{sys_id}" for sys_id in sys_ids])
    read = Traffic(method="GET", feed=paths, feeds="path")
    return [
        Case("a", "bare route", base_url, lambda _: bare),
        Case("b", "floor of an exchange", base_url, lambda _: exchange),
        Case("c", "floor of a read", base_url, lambda _: read),
    ]


@dataclass
class Exchanges:
    """Signs the assertions of each run before it, into a file of its own."""

    folder: Path
    instance: Instance
    signer: Signer
    alg: str
    files: int = 0

    def traffic(self, needed: int) -> Traffic:
        """Return traffic of `needed` assertions that nobody has seen yet."""
        self.files += 1
        forms = [self.instance.token_form(self.signer.sign(self.alg)) for _ in range(needed)]
        feed = write_feed(self.folder / f"d-{self.alg}-{self.files}", forms)
        return Traffic(method="POST", path=TOKEN_PATH, headers=(FORM,), feed=feed, once=True)


def product_cases(
    base_url: str, folder: Path, instance: Instance, signer: Signer, token: str, sys_ids: list[str]
) -> list[Case]:
    """Return the cases d (twice), e and f."""
    bearer = (("Authorization", f"Bearer {token}"), *JSON)
    bodies = write_feed(folder / "e", [change_body(number) for number in range(2000)])
    create = Traffic(method="POST", path=CHANGE_PATH, headers=bearer, feed=bodies)
    basic = (("Authorization", instance.basic()), *JSON)
    paths = write_feed(folder / "f", [f"{CHANGE_PATH}/{sys_id}" for sys_id in sys_ids])
    get = Traffic(method="GET", headers=basic, feed=paths, feeds="path")
    rs256, es256 = (Exchanges(folder, instance, signer, alg) for alg in ("RS256", "ES256"))
    return [
        Case("d-rs256", "token exchange", base_url, rs256.traffic),
        Case("d-es256", "token exchange", base_url, es256.traffic),
        Case("e", "POST change_request", base_url, lambda _: create),
        Case("f", "GET one change", base_url, lambda _: get),
    ]


def ratios_of(rates: Mapping[str, float]) -> list[tuple[Ratio, float]]:
    """Return every ratio whose two cases were measured."""
    return [
        (ratio, rates[ratio.case] / rates[ratio.floor])
        for ratio in RATIOS
        if ratio.case in rates and ratio.floor in rates
    ]
