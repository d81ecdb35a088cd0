"""The instances, servers, and cases of one kind of database."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import free_port

from benchmarks import floors, peer_setup, product, servers
from benchmarks.bounds import Bound
from benchmarks.cases import Case, ServedSite, floor_cases
from benchmarks.conflicts import Conflicts
from benchmarks.databases import SQLITE, Databases
from benchmarks.exchanges import Exchanges, exchange_cases
from benchmarks.life import fill_life
from benchmarks.lives import Lives
from benchmarks.pages import Pages
from benchmarks.past import Past, fill
from benchmarks.planning import Planning
from benchmarks.provider import Provider, serving_keys
from benchmarks.query_times import CommonQueries, keep_up
from benchmarks.ratios import MILLION
from benchmarks.scopes import ScopeSite
from benchmarks.selection import LIVES, OF_A_MILLION, PAGES, PEERS, PLANNING, QUERIES, SCOPES, SIZES, TRUST, Selection
from benchmarks.signing import Signer
from benchmarks.sizes import Sizes
from benchmarks.trust import TrustSite

FLOOR_CHANGES = 1000
MARKS = ("", MILLION)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """An instance with five years of records that is not served yet."""

    folder: Path
    database_url: str
    instance: product.Instance
    past: Past


@dataclass(frozen=True)
class Stage:
    """The cases, and the instances that they need; `site` is the one whose worker's memory is measured."""

    database: str
    cases: Sequence[Case]
    site: ServedSite | None = None
    trust: TrustSite | None = None
    lives: Lives | None = None
    planning: Planning | None = None
    conflicts: Conflicts | None = None
    pages: Pages | None = None
    sizes: Sizes | None = None
    living: Sequence[CommonQueries] = ()

    def bounds(self) -> Sequence[Bound]:
        """Return the limits and scenarios, measured after the cases."""
        parts = (self.trust, self.lives, self.planning, self.conflicts, self.pages, self.sizes, *self.living)
        return [bound for part in parts if part for bound in part.bounds()]


@dataclass(frozen=True)
class StageSetting:
    """Creates a stage: in a folder of its own, with servers that the end of `stack` stops."""

    stack: ExitStack
    databases: Databases
    folder: Path
    tell: Tell
    signer: Signer = field(default_factory=Signer)

    def set_stage(self, sizes: Sequence[int], *, only_floors: bool, selection: Selection | None = None) -> Stage:
        """Fill an instance of each size, and serve them beside the floors; some cases use only the first size."""
        selected = selection or Selection()
        provider = self.stack.enter_context(serving_keys(self.signer.key_set))
        with_million = selected.wants(*OF_A_MILLION)
        sites = [self._prepare(size, provider) for size in (sizes if with_million else sizes[:1])]
        cases = self._serve_floors(sites[0])
        if only_floors:
            return Stage(self.databases.name, cases)
        if self.databases.name == SQLITE and selected.wants(*PEERS):
            cases += self._serve_peer()
        first, *others = (self._serve(site, mark) for site, mark in zip(sites, MARKS, strict=False))
        cases += exchange_cases(first, self.signer)
        trust = self._set_trust(sites[0]) if selected.wants(*TRUST) else None
        cases += trust.cases() if trust else []
        cases += [*first.cases(), first.long_page_case(), *(case for site in others for case in site.cases())]
        if selected.wants(*SCOPES):
            cases += ScopeSite(first, sites[0].database_url, provider.jwks_url, self.signer).cases()
        kept = [case for case in cases if selected.wants(case.name)]
        lives = Lives(first) if selected.wants(LIVES) else None
        is_planned = selected.wants(PLANNING)
        planning = Planning(first) if is_planned else None
        conflicts = Conflicts(first, sites[0].database_url) if is_planned else None
        pages = Pages(first) if selected.wants(PAGES) else None
        bytes_of = Sizes(first, sites[0].database_url, self.signer) if selected.wants(SIZES) else None
        living = [self._live(size, provider) for size in sizes] if selected.wants(QUERIES) else []
        return Stage(self.databases.name, kept, first, trust, lives, planning, conflicts, pages, bytes_of, living)

    def _prepare(self, size: int, provider: Provider) -> Site:
        folder = self.folder / f"past-{size}"
        folder.mkdir()
        database_url = self.databases.create(f"past_{size}")
        self.tell(f"{self.databases.name}: setting up an instance")
        instance = product.set_up(folder / "instance", database_url, provider.jwks_url)
        self.tell(f"{self.databases.name}: filling in {size:,} changes")
        past = fill(database_url, size)
        keep_up(instance)
        return Site(folder, database_url, instance, past)

    def _live(self, size: int, provider: Provider) -> CommonQueries:
        folder = self.folder / f"life-{size}"
        folder.mkdir()
        database_url = self.databases.create(f"life_{size}")
        self.tell(f"{self.databases.name}: filling in two years of {size:,} changes")
        instance = product.set_up(folder / "instance", database_url, provider.jwks_url)
        life = fill_life(database_url, size)
        keep_up(instance)
        port = free_port()
        command = servers.product_command(port)
        server = self.stack.enter_context(servers.serving(command, port, instance.env, folder / "log"))
        return CommonQueries(server, instance, life)

    def _set_trust(self, site: Site) -> TrustSite:
        self.tell(f"{self.databases.name}: registering integrations")
        folder = self.folder / "trust"
        folder.mkdir()
        return TrustSite(self.stack, folder, site.database_url, site.instance, self.signer)

    def _serve(self, site: Site, mark: str) -> ServedSite:
        port = free_port()
        command = servers.product_command(port)
        server = self.stack.enter_context(servers.serving(command, port, site.instance.env, site.folder / "log"))
        token = product.get_token(server.base_url, site.instance, self.signer.sign("RS256"))
        return ServedSite(server, site.folder, site.instance, token, site.past, mark)

    def _serve_floors(self, site: Site) -> list[Case]:
        folder = self.folder / "floors"
        folder.mkdir()
        own_url = self.databases.create("floors")
        key = self.signer.rsa_public_pem()
        sys_ids = floors.prepare(folder, key, FLOOR_CHANGES, own_url=own_url, filled_url=site.database_url)
        base_url = self._serve_bare("benchmarks.floors:app", folder, {floors.FOLDER_VARIABLE: str(folder)})
        return floor_cases(base_url, folder, self.signer, sys_ids, site.past)

    def _serve_peer(self) -> list[Case]:
        folder = self.folder / "peer"
        folder.mkdir()
        peer_setup.prepare(folder, self.signer.key_set())
        settings = {peer_setup.FOLDER_VARIABLE: str(folder), "PYTHONPATH": str(peer_setup.provide_packages())}
        base_url = self._serve_bare("benchmarks.peer:app", folder, settings)
        return [
            self._peer_case("peer", "exchange at Authlib", base_url, peer_setup.PATH),
            self._peer_case("peer-driver", "the same, no models", base_url, peer_setup.DRIVER_PATH),
        ]

    def _peer_case(self, name: str, label: str, base_url: str, path: str) -> Case:
        # The peer gets the product's form; its grant finds the client by the issuer of the assertion.
        asking = product.Instance({}, "", name, "")
        return Exchanges(self.folder / "peer", asking, self.signer, path=path).case(name, label, base_url)

    def _serve_bare(self, target: str, folder: Path, settings: dict[str, str]) -> str:
        port = free_port()
        env = servers.environment(settings)
        serving = servers.serving(servers.bare_command(port, target), port, env, folder / "log")
        return self.stack.enter_context(serving).base_url
