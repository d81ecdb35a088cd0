"""The cases d: token exchanges, each with a new assertion."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Beside, Case, ServedSite, nothing
from benchmarks.load import Traffic, write_feed
from benchmarks.product import TOKEN_PATH, Instance
from benchmarks.signing import Signer

FORM = ("Content-Type", "application/x-www-form-urlencoded")


def once(folder: Path, name: str, lines: list[str], path: str = TOKEN_PATH) -> Traffic:
    """Return traffic of forms that are sent once each."""
    return Traffic(method="POST", path=path, headers=(FORM,), feed=write_feed(folder / name, lines), once=True)


@dataclass
class Exchanges:
    """The source of new assertions for each run, in a file for each; `used` is how many were taken."""

    folder: Path
    instance: Instance
    signer: Signer
    alg: str = "RS256"
    path: str = TOKEN_PATH
    used: int = 0

    def traffic(self, needed: int) -> Traffic:
        """Return traffic of `needed` assertions that this integration has not seen yet."""
        assertions = self.signer.assertions(self.alg, self.used, needed)
        self.used += needed
        name = f"d-{self.alg}-{self.instance.client_id}-{self.used}"
        forms = [self.instance.token_form(assertion) for assertion in assertions]
        return once(self.folder, name, forms, self.path)

    def case(self, name: str, label: str, base_url: str, beside: Beside = nothing) -> Case:
        """Return the case that sends the assertions."""
        return Case(name, label, base_url, self.traffic, beside)


def exchange_cases(site: ServedSite, signer: Signer) -> list[Case]:
    """Return the cases of a warm exchange, one for each algorithm."""
    rs256, es256 = (Exchanges(site.folder, site.instance, signer, alg) for alg in ("RS256", "ES256"))
    return [
        rs256.case("d-rs256", "token exchange", site.server.base_url),
        es256.case("d-es256", "token exchange", site.server.base_url),
    ]
