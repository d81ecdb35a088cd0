"""Everything that is measured on one kind of database: filled, served, and ended with the stack."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import floors, product, servers
from tests.bench.cases import Case, Desk, exchange_cases, floor_cases
from tests.bench.databases import Databases
from tests.bench.past import Past, fill
from tests.bench.ratios import MILLION
from tests.bench.signing import Signer, serve_key_set

FLOOR_CHANGES = 1000
MARKS = ("", MILLION)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """An instance with a past, not served yet."""

    folder: Path
    database_url: str
    instance: product.Instance
    past: Past


@dataclass(frozen=True)
class Stage:
    """The cases, and the desk whose worker's memory is watched; none where only the floors are measured."""

    database: str
    cases: Sequence[Case]
    desk: Desk | None


@dataclass(frozen=True)
class StageSetting:
    """What a stage is set with: `folder` is for it alone, and `stack` ends what it starts."""

    stack: ExitStack
    databases: Databases
    folder: Path
    tell: Tell
    signer: Signer = field(default_factory=Signer)

    def set_stage(self, sizes: Sequence[int], *, only_floors: bool) -> Stage:
        """Fill a desk of each size and serve them beside the floors; some cases are for the first size alone."""
        jwks_url = self.stack.enter_context(serve_key_set(self.signer.key_set()))
        sites = [self._prepare(size, jwks_url) for size in sizes]
        cases = self._serve_floors(sites[0])
        if only_floors:
            return Stage(self.databases.name, cases, None)
        first, *others = (self._serve(site, mark) for site, mark in zip(sites, MARKS, strict=False))
        cases += [*exchange_cases(first, self.signer), *first.cases(), first.long_page_case()]
        cases += [case for desk in others for case in desk.cases()]
        return Stage(self.databases.name, cases, first)

    def _prepare(self, size: int, jwks_url: str) -> Site:
        folder = self.folder / f"desk-{size}"
        folder.mkdir()
        database_url = self.databases.create(f"desk_{size}")
        self.tell(f"{self.databases.name}: setting up an instance")
        instance = product.set_up(folder / "instance", database_url, jwks_url)
        self.tell(f"{self.databases.name}: filling in {size:,} changes")
        return Site(folder, database_url, instance, fill(database_url, size))

    def _serve(self, site: Site, mark: str) -> Desk:
        port = servers.free_port()
        command = servers.product_command(port)
        server = self.stack.enter_context(servers.serving(command, port, site.instance.env, site.folder / "log"))
        token = product.get_token(server.base_url, site.instance, self.signer)
        return Desk(server, site.folder, site.instance, token, site.past, mark)

    def _serve_floors(self, site: Site) -> list[Case]:
        folder = self.folder / "floors"
        folder.mkdir()
        own_url = self.databases.create("floors")
        key = self.signer.rsa_public_pem()
        sys_ids = floors.prepare(folder, key, FLOOR_CHANGES, own_url=own_url, filled_url=site.database_url)
        port = servers.free_port()
        env = servers.environment({floors.FOLDER_VARIABLE: str(folder)})
        command = servers.floors_command(port)
        server = self.stack.enter_context(servers.serving(command, port, env, folder / "log"))
        return floor_cases(server.base_url, folder, self.signer, sys_ids, site.past)
