"""Every case of the benchmark is answered, and its floors do the work that they stand for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.bench.cases import NEWEST_FIRST, PAGE_SIZE, Case, Desk
from tests.bench.databases import Databases, PostgresDatabases, SqliteFiles
from tests.bench.memory import page_through
from tests.bench.product import list_path
from tests.bench.stage import Stage, StageSetting
from tests.support.postgres import running_cluster

# The second size, which takes as long to set up as the first, is the same on both.
SIZES = {"SQLite": (1000, 1500), "PostgreSQL": (1000,)}
ONCE = ("d-rs256", "d-es256")
OF_ONE_SIZE = {"a", "b", "b-unsigned", "c", "g", *ONCE, "e", "f", "h", "i", "j"}
CASES = {1: OF_ONE_SIZE, 2: OF_ONE_SIZE | {"e-1m", "f-1m", "h-1m", "i-1m"}}


def places(kind: str, folder: Path) -> Databases:
    return SqliteFiles(folder) if kind == "SQLite" else PostgresDatabases(running_cluster())


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("bench")
    with ExitStack() as stack:
        setting = StageSetting(stack, places(request.param, folder), folder, lambda said: None)
        yield setting.set_stage(SIZES[request.param], only_floors=False)


@pytest.fixture
def desk(stage: Stage) -> Desk:
    assert stage.desk
    return stage.desk


def send(case: Case) -> requests.Response:
    traffic = case.traffic(1)
    line = traffic.feed.read_text().splitlines()[0]
    path, body = (line, None) if traffic.feeds == "path" else (traffic.path, line)
    headers = dict(traffic.headers)
    return requests.request(traffic.method, case.base_url + path, data=body, headers=headers, timeout=30)


def test_every_case_is_answered(stage: Stage) -> None:
    answers = {case.name: send(case).status_code for case in stage.cases}
    assert set(answers) == CASES[len(SIZES[stage.database])]
    assert {name: status for name, status in answers.items() if not 200 <= status < 300} == {}


def test_an_exchange_is_never_measured_with_an_assertion_seen_before(stage: Stage) -> None:
    for case in stage.cases:
        if case.name in ONCE:
            first, second = case.traffic(3), case.traffic(3)
            assert first.once
            lines = [*first.feed.read_text().splitlines(), *second.feed.read_text().splitlines()]
            assert len(set(lines)) == 6


def test_the_floor_of_a_list_answers_the_page_that_the_product_answers(stage: Stage, desk: Desk) -> None:
    [floor] = [case for case in stage.cases if case.name == "g"]
    group = desk.past.groups[0]
    least = requests.get(f"{floor.base_url}/changes/{quote(group)}", timeout=30)
    path = list_path(f"assignment_group={group}{NEWEST_FIRST}", PAGE_SIZE)
    full = requests.get(desk.server.base_url + path, headers={"Authorization": desk.instance.basic()}, timeout=30)
    assert least.headers["X-Total-Count"] == full.headers["X-Total-Count"]
    sys_ids = [[record["sys_id"] for record in answer.json()["result"]] for answer in (least, full)]
    assert sys_ids[0] == sys_ids[1]
    assert len(sys_ids[0]) == PAGE_SIZE


def test_a_floor_refuses_what_is_not_signed(stage: Stage) -> None:
    [floor] = [case for case in stage.cases if case.name == "b"]
    forged = requests.post(f"{floor.base_url}/exchange", data=b"e30.e30.AAAA", timeout=30)
    assert forged.status_code == 500


def test_the_memory_of_the_worker_is_watched(desk: Desk) -> None:
    memory = page_through(desk)
    assert memory
    assert memory.records == desk.past.changes
    assert memory.before_mb > 20
