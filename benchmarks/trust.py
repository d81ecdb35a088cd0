"""Servers under floods, rotations, outages, and long reports, with an integration for each."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import free_port

from benchmarks import product, servers
from benchmarks.bounds import Bound
from benchmarks.cases import Case
from benchmarks.exchanges import Exchanges
from benchmarks.flood import Flood
from benchmarks.outage import count_failures, take_down
from benchmarks.provider import Provider, serving_keys
from benchmarks.rotation import RotatingExchanges, RotatingProvider
from benchmarks.rules import pipeline_signer, set_conditions, stores_reports
from benchmarks.signing import Signer

# Short, so that even a run of a few seconds would show too frequent fetches.
COOLDOWN_SECONDS = 1
FLOODED = {"CHANGEGATE_JWKS_REFETCH_COOLDOWN": str(COOLDOWN_SECONDS), "CHANGEGATE_TRUSTED_PROXIES": "1"}
# The provider rotates far more often here than any pause between fetches would allow.
ROTATED = {"CHANGEGATE_JWKS_REFETCH_COOLDOWN": "0"}


@dataclass
class TrustSite:
    """One instance, served by a process for each variant of its settings, and the providers that it trusts."""

    stack: ExitStack
    folder: Path
    database_url: str
    instance: product.Instance
    signer: Signer
    flood: Flood = field(init=False)
    rotating: RotatingProvider = field(init=False)
    down: product.Instance = field(init=False)

    def bounds(self) -> list[Bound]:
        """Return the limits on fetches, measured after the cases."""
        failures = count_failures(self.database_url, self.down)
        return [*self.flood.bounds(), *self.rotating.bounds(), Bound("d-down: fetches that failed", failures)]

    def cases(self) -> list[Case]:
        """Return the cases d-report, d-down, d-calm, d-flood, and d-rotation."""
        base_url = self._serve("flooded", FLOODED)
        return [
            self._reported(base_url),
            self._down(base_url),
            *self._flooded(base_url),
            self._rotation(self._serve("rotated", ROTATED)),
        ]

    def _serve(self, name: str, settings: Mapping[str, str]) -> str:
        port = free_port()
        env, log = {**self.instance.env, **settings}, self.folder / f"{name}.log"
        serving = servers.serving(servers.product_command(port), port, env, log)
        return self.stack.enter_context(serving).base_url

    def _provider(self) -> Provider:
        return self.stack.enter_context(serving_keys(self.signer.key_set))

    def _reported(self, base_url: str) -> Case:
        signer = pipeline_signer(self.signer)
        instance = self.instance.register("Bench, long report", self._provider().jwks_url)
        set_conditions(self.database_url, instance)
        product.get_token(base_url, instance, signer.sign("RS256"))
        stored = "report stored" if stores_reports(self.database_url, instance) else "no report"
        return Exchanges(self.folder, instance, signer).case("d-report", f"5 conditions, {stored}", base_url)

    def _down(self, base_url: str) -> Case:
        provider = self._provider()
        self.down = instance = self.instance.register("Bench, down", provider.jwks_url)
        product.get_token(base_url, instance, self.signer.sign("RS256"))
        take_down(provider, self.database_url, instance)
        return Exchanges(self.folder, instance, self.signer).case("d-down", "provider down", base_url)

    def _flooded(self, base_url: str) -> list[Case]:
        provider = self._provider()
        instance = self.instance.register("Bench, flooded", provider.jwks_url)
        self.flood = Flood(self.folder, base_url, instance, self.signer, provider, COOLDOWN_SECONDS)
        exchanges = Exchanges(self.folder, instance, self.signer)
        return [
            exchanges.case("d-calm", "before a flood", base_url),
            exchanges.case("d-flood", "in a flood", base_url, self.flood.beside),
        ]

    def _rotation(self, base_url: str) -> Case:
        provider = self.rotating = RotatingProvider(self.folder / "rotated-to", self.signer)
        served = self.stack.enter_context(serving_keys(provider.document))
        instance = self.instance.register("Bench, rotation", served.jwks_url)
        exchanges = RotatingExchanges(self.folder, provider, instance)
        return Case("d-rotation", "keys rotating", base_url, exchanges.traffic)
