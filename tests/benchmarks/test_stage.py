"""Every case of the benchmark is answered, and its floors and its peer do the work that they are to measure."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
import requests
from benchmarks import memory, pages, product, query_times, servers
from benchmarks.cases import NEWEST_FIRST, PAGE_SIZE, Case, ServedSite
from benchmarks.common_queries import common_queries
from benchmarks.databases import Databases, PostgresDatabases, SqliteFiles
from benchmarks.exchanges import FORM
from benchmarks.life import life_of
from benchmarks.load import Traffic
from benchmarks.product import CHANGE_PATH, TOKEN_PATH, change_body, list_path
from benchmarks.query_times import write_queries
from benchmarks.rotation import ASSERTIONS_OF_A_KEY
from benchmarks.scopes import OWN_CHANGES
from benchmarks.selection import EXCHANGES, NAMES, OF_A_MILLION, PEERS, SCENARIOS, TRUST
from benchmarks.stage import Stage, StageSetting
from benchmarks.trust import COOLDOWN_SECONDS

from tests.conftest import ADMIN_PASSWORD
from tests.support.forked import Forked
from tests.support.postgres import PREPARED, prepared_cluster
from tests.support.servers import COMMAND, run_changegate

# The second size, which takes as long to set up as the first, is the same on both.
SIZES = {"SQLite": (1000, 1500), "PostgreSQL": (1000,)}
# The peer keeps its rows in SQLite alone.
ABSENT = {"SQLite": {*SCENARIOS}, "PostgreSQL": {*SCENARIOS, *PEERS, *OF_A_MILLION}}
ONCE = {*PEERS, *EXCHANGES, *TRUST}


@dataclass(frozen=True)
class PreparedFiles(SqliteFiles):
    """Copies of a prepared database: a stage has four, and to migrate each takes longer than to fill it."""

    prepared: bytes = b""

    def create(self, name: str) -> str:
        if name != FLOORS:
            (self.folder / f"{name}.db").write_bytes(self.prepared)
        return super().create(name)


@dataclass(frozen=True)
class PreparedDatabases(PostgresDatabases):
    """The same on PostgreSQL."""

    def create(self, name: str) -> str:
        return super().create(name) if name == FLOORS else self.cluster.url(self.cluster.create_database(PREPARED))


def places(kind: str, folder: Path, prepared: bytes) -> Databases:
    if kind == "SQLite":
        return PreparedFiles(folder, prepared=prepared)
    return PreparedDatabases(prepared_cluster())


run, start = subprocess.run, servers.start
FLOORS, PEER = "floors", "benchmarks.peer:app"
GRANIAN = "from granian.cli import entrypoint\nentrypoint()"


def run_forked(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the product's commands in processes that need not import it first; a stage takes a dozen of them."""
    if command[0] != servers.script("changegate"):
        return run(command, **options)
    return run_changegate(*command[1:], environment=options["env"])


def start_forked(command: Sequence[str], env: Mapping[str, str], log: Path) -> Any:
    """Start servers in such processes, too, except for the peer, which has packages of its own."""
    codes = {servers.script("changegate"): COMMAND, servers.script("granian"): GRANIAN}
    if PEER in command:
        return start(command, env, log)
    return Forked(codes[command[0]], command[1:], env, merges_errors=True, log=log)


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("bench")
    with ExitStack() as stack:
        setting = StageSetting(stack, places(request.param, folder, prepared_database), folder, lambda said: None)
        with (
            mock.patch.object(subprocess, "run", run_forked),
            mock.patch.object(servers, "start", start_forked),
            mock.patch.object(product.secrets, "token_urlsafe", lambda _length: ADMIN_PASSWORD),
        ):
            set_up = setting.set_stage(SIZES[request.param], only_floors=False)
        yield set_up


@pytest.fixture
def site(stage: Stage) -> ServedSite:
    assert stage.site
    return stage.site


def find_case(stage: Stage, name: str) -> Case:
    [found] = [case for case in stage.cases if case.name == name]
    return found


def lines(traffic: Traffic) -> list[str]:
    """Return what is sent, having noted what would be noted before the first of it."""
    everything = traffic.feed.read_text().splitlines()
    while everything[0].startswith("! "):
        _, file, word = everything.pop(0).split()
        Path(file).write_text(word)
    return [line for line in everything if not line.startswith("! ")]


def send(case: Case) -> requests.Response:
    traffic = case.traffic(1)
    return send_line(case, traffic, lines(traffic)[0])


def send_line(case: Case, traffic: Traffic, line: str) -> requests.Response:
    path, body = (line, None) if traffic.feeds == "path" else (traffic.path, line)
    headers = dict(traffic.headers)
    return requests.request(traffic.method, case.base_url + path, data=body, headers=headers, timeout=60)


def test_every_case_is_answered(stage: Stage) -> None:
    answers = {case.name: send(case).status_code for case in stage.cases}
    assert set(answers) == set(NAMES) - ABSENT[stage.database]
    assert {name: status for name, status in answers.items() if not 200 <= status < 300} == {}


def test_an_exchange_is_never_measured_with_an_assertion_seen_before(stage: Stage) -> None:
    for case in stage.cases:
        if case.name in ONCE:
            first, second = case.traffic(3), case.traffic(3)
            assert first.once
            assert len({*lines(first), *lines(second)}) == 6, case.name


def test_compared_servers_refuse_replayed_assertions(stage: Stage) -> None:
    for name in {"d-rs256", *PEERS} - ABSENT[stage.database]:
        case = find_case(stage, name)
        traffic = case.traffic(1)
        [line] = lines(traffic)
        answers = [send_line(case, traffic, line) for _ in range(2)]
        assert [answer.status_code for answer in answers] in ([200, 400], [200, 401]), name
        assert "access_token" not in answers[1].json()


def test_the_peer_exchanges_only_signed_assertions(stage: Stage) -> None:
    for name in set(PEERS) - ABSENT[stage.database]:
        case = find_case(stage, name)
        traffic = case.traffic(2)
        good, other = lines(traffic)
        head, signature = other.rpartition(".")[0], good.rpartition(".")[2]
        assert send_line(case, traffic, f"{head}.{signature}").json()["error"] == "invalid_grant"
        assert len(send_line(case, traffic, good).json()["access_token"]) > 40


def test_the_provider_that_is_down_cannot_be_reached_and_its_keys_are_stale(stage: Stage) -> None:
    assert stage.trust
    answers = [send(find_case(stage, "d-down")).status_code for _ in range(3)]
    failures = {bound.name: bound.measured for bound in stage.trust.bounds()}["d-down: fetches that failed"]
    assert answers == [200, 200, 200]
    assert failures >= 1


def test_whole_lives_are_measured_step_by_step(stage: Stage) -> None:
    assert stage.lives
    bounds = stage.lives.bounds(2)
    assert all(bound.measured > 0 for bound in bounds)
    assert {bound.name for bound in bounds if bound.limit} == {
        "approve / PATCH",
        "nextstates / GET one",
        "blockers / GET one",
    }


def test_exchanges_and_changes_take_bytes(stage: Stage) -> None:
    assert stage.sizes
    measured = {bound.name: bound.measured for bound in stage.sizes.bounds(100)}
    assert measured.keys() == {"bytes of an exchange", "bytes of an exchange without its report", "bytes of a change"}
    # Pages are added whole, and PostgreSQL may add many of them at once.
    assert all(100 < size < 20_000 for size in measured.values())


def test_common_queries_are_measured_and_written_to_their_page(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["everything", "by number", "word", "all by state"]
    some = [each for each in common_queries(life_of(1000)) if each.name in names]
    monkeypatch.setattr(query_times, "common_queries", lambda _life: some)
    living = stage.living[-1]
    assert all(bound.measured > 0 and bound.limit for bound in living.bounds(1))
    read = {each.query.name: (each.late > 0, each.following > 0) for each in living.found}
    assert read == dict.fromkeys(names, (False, False)) | {"everything": (True, True)}
    page = tmp_path / "queries.md"
    page.write_text("before\n<!-- generated -->\nold\n<!-- end -->\nafter\n")
    write_queries(page, {stage.database: living.found}, living.life.changes)
    begin, *rows, end, after = page.read_text().splitlines()[1:]
    assert (begin, end, after, "old" in rows) == ("<!-- generated -->", "<!-- end -->", "after", False)
    assert [row.split(" | ")[0] for row in rows[-4:]] == [f"| {name}" for name in names]
    assert len({row.count("|") for row in rows[-6:]}) == 1


def test_planning_is_measured_with_freezes_and_policies_and_leaves_none_in_force(stage: Stage) -> None:
    assert stage.planning
    bounds = stage.planning.bounds(2, freezes=4, policies=2, pause=0)
    assert all(bound.measured > 0 and bound.limit for bound in bounds)
    assert len(stage.planning.freezes) == 4
    assert len(stage.planning.policies) == 2
    assert len(stage.planning.took["change with"]) == 6


def test_the_detection_of_conflicts_is_measured(stage: Stage) -> None:
    assert stage.conflicts
    bounds = replace(stage.conflicts, changes=20, overlapping=5).bounds(2)
    assert all(bound.measured > 0 for bound in bounds)
    assert [bound.limit for bound in bounds if bound.limit] == [200]


def test_the_first_paint_of_pages_is_measured(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage.pages
    if stage.database == "PostgreSQL":
        # A browser opens all of them on SQLite.
        monkeypatch.setattr(pages, "PATHS", pages.PATHS[:1])
    bounds = stage.pages.bounds(1)
    assert {bound.limit for bound in bounds} == {250}
    assert all(bound.measured > 0 for bound in bounds)


def test_every_token_has_only_the_access_its_case_needs(stage: Stage) -> None:
    reach = {
        "k-opaque": (200, 403),
        "k-jwt": (200, 403),
        "m-unscoped": (200, 201),
        "m-scoped": (404, 201),
        "n-one": (404, 403),
    }
    assert stage.site
    of_others = f"{CHANGE_PATH}/{stage.site.past.sys_ids[-1]}"
    for name, expected in reach.items():
        case = find_case(stage, name)
        url, headers = case.base_url, dict(case.traffic(1).headers)
        read = requests.get(url + of_others, headers=headers, timeout=60)
        created = requests.post(url + CHANGE_PATH, data=change_body(1), headers=headers, timeout=60)
        assert (read.status_code, created.status_code) == expected, name


def test_introspection_is_asked_about_tokens_that_count(stage: Stage) -> None:
    for name in ("l-opaque", "l-jwt"):
        assert send(find_case(stage, name)).json()["active"] is True


def test_one_integration_has_as_many_changes_of_its_own_as_a_group(stage: Stage) -> None:
    pages = {f"n-own-{limit}": limit for limit in (1, PAGE_SIZE)}
    for name, limit in pages.items():
        answer = send(find_case(stage, name))
        created_on = [record["sys_created_on"] for record in answer.json()["result"]]
        assert answer.headers["X-Total-Count"] == str(OWN_CHANGES)
        assert len(created_on) == limit
        assert created_on == sorted(created_on, reverse=True)


def test_a_long_report_is_stored(stage: Stage) -> None:
    assert find_case(stage, "d-report").label == "5 conditions, report stored"


def test_each_rotation_is_followed_by_one_fetch_and_the_key_before_still_counts(stage: Stage) -> None:
    assert stage.trust
    case, rotating = find_case(stage, "d-rotation"), stage.trust.rotating
    traffic = case.traffic(2 * ASSERTIONS_OF_A_KEY + 1)
    chapters = [chapter.splitlines() for chapter in traffic.feed.read_text().split("! ")[1:]]
    statuses, fetches = [], []
    for number, (note, *forms) in enumerate(chapters):
        file, word = note.split()
        Path(file).write_text(word)
        late = [chapters[number - 1][-1]] if number else []
        before = len(rotating.asked_at)
        statuses += [send_line(case, traffic, line).status_code for line in (forms[0], *late)]
        fetches.append(len(rotating.asked_at) - before)
    assert statuses == [200] * 5
    # The first key may be known: the integration was registered with it.
    assert fetches[1:] == [1, 1]
    assert {bound.verdict for bound in rotating.bounds()} == {"kept"}


def flood_with(case: Case, line: str) -> requests.Response:
    address, _, form = line.partition("\t")
    headers = dict([FORM]) | {"X-Forwarded-For": address}
    return requests.post(case.base_url + TOKEN_PATH, data=form, headers=headers, timeout=60)


def test_a_flood_is_refused_and_costs_the_provider_one_fetch_in_a_cooldown(stage: Stage) -> None:
    assert stage.trust
    flood, case = stage.trust.flood, find_case(stage, "d-flood")
    assert send(case).status_code == 200
    before, start = len(flood.provider.fetched_at), time.monotonic()
    answers = [flood_with(case, line) for line in flood.lines()[:60]]
    allowed = 1 + (time.monotonic() - start) // COOLDOWN_SECONDS
    # Not 429: no address has failed often enough to be held up.
    assert {answer.status_code for answer in answers} == {401}
    assert 1 <= len(flood.provider.fetched_at) - before <= allowed


def test_the_floor_of_a_list_answers_the_page_that_the_product_answers(stage: Stage, site: ServedSite) -> None:
    floor = find_case(stage, "g")
    group = site.past.groups[0]
    least = requests.get(f"{floor.base_url}/changes/{quote(group)}", timeout=60)
    path = list_path(f"assignment_group={group}{NEWEST_FIRST}", PAGE_SIZE)
    full = requests.get(site.server.base_url + path, headers={"Authorization": site.instance.basic()}, timeout=60)
    assert least.headers["X-Total-Count"] == full.headers["X-Total-Count"]
    sys_ids = [[record["sys_id"] for record in answer.json()["result"]] for answer in (least, full)]
    assert sys_ids[0] == sys_ids[1]
    assert len(sys_ids[0]) == PAGE_SIZE


def test_a_floor_refuses_unsigned_assertions(stage: Stage) -> None:
    floor = find_case(stage, "b")
    forged = requests.post(f"{floor.base_url}/exchange", data=b"e30.e30.AAAA", timeout=60)
    assert forged.status_code == 500


def test_the_memory_of_the_worker_is_watched(site: ServedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WARM_UP_PAGES", 4)
    measured = memory.page_through(site)
    assert measured
    assert measured.records == site.past.changes
    assert measured.before_mb > 20
