"""Two years of changes: nine in ten have ended, and a few people, groups, and items have most of them.

The same size always gives the same records. `Life` contains the sys_ids that `common_queries` need.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, islice
from random import Random
from typing import Any

from sqlalchemy import create_engine

from benchmarks.bulk import Row, load_rows, without_indexes
from benchmarks.past import FIRST_NUMBER, count_on, sys_id_of
from changegate.models import (
    ChangeRequest,
    ChangeTask,
    CmdbCi,
    OAuthEntity,
    SysapprovalApprover,
    SysUser,
    SysUserGroup,
    Task,
)
from changegate.models.change_request import CATEGORIES, REASONS

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
TWO_YEARS = timedelta(days=730)
NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
# Changes of the last tenth are mostly open, and few of the earlier ones: one in ten of all.
RECENT, OPEN_RECENT, OPEN_EARLIER = 0.9, 0.85, 0.016
OPEN = {NEW: 25, ASSESS: 15, AUTHORIZE: 15, SCHEDULED: 25, IMPLEMENT: 10, REVIEW: 10}
ENDED = {CLOSED: 93, CANCELED: 7}
TYPES = {"normal": 55, "standard": 38, "emergency": 7}
RISKS = {4: 60, 3: 30, 2: 9, 1: 1}
FROM_PIPELINES = 0.7
PIPELINES, REPOSITORIES, SERVICES = 6, 300, 60
# How unevenly people, groups, and items are chosen: the n-th has 1 / n to this power of what the first has.
SKEW = 0.8
SYLLABLES = ("ba", "cor", "del", "fin", "gra", "hul", "jin", "kel", "lo", "mar", "nex", "pol", "qui", "ros", "tev")
SENTENCES, WORDS_OF_SENTENCE = 4000, 9
# Some first names are frequent, and most last names are rare.
FIRST_NAMES = """
Anna Peter Maria Thomas Julia Michael Sarah Daniel Laura David Emma James Sophie Martin Lena Paul Olga Jan Priya Ahmed
Ines Marco Yuki Luis Fatima Ivan Chloe Pedro Aisha Erik Nora Samuel Greta Hugo Mei Tariq Zoe Felix Amara Kenji Rosa
Igor Leila Bruno Astrid Diego Hanna Omar Petra Rajesh Simone Viktor Wanda Xavier Yusuf Beatriz Cyril Dagmar Ebba Farid
""".split()
BEGINNINGS = "Ash Brad Car Dal East Fair Green Hart King Lang Mill North Oak Pres Red Stan Thorn Under Wal Whit".split()
ENDINGS = (
    "berg bourne bury combe dale field ford ham hurst ington ley lock man more ridge son stone ton ville well".split()
)
NAMES_SKEW = 0.4
VERBS = ("Upgrade", "Restart", "Patch", "Roll out", "Resize", "Migrate", "Rotate certificates of", "Reconfigure")
PLAN = "Drain the node, apply the package, run the smoke tests, and put the node back. Then continue with the next. "


@dataclass(frozen=True)
class Life:
    """The records that the queries are about, as sys_ids: the busiest first, and some of the changes."""

    changes: int
    users: Sequence[str]
    groups: Sequence[str]
    items: Sequence[str]
    services: Sequence[str]
    pipelines: Sequence[str]
    sys_ids: Sequence[str]

    @property
    def end(self) -> datetime:
        """Return the time after which nothing has happened."""
        return BEGIN + TWO_YEARS

    @property
    def last_number(self) -> int:
        """Return the number of the newest change."""
        return FIRST_NUMBER + self.changes - 1


def life_of(changes: int) -> Life:
    """Return the records to which so many changes refer."""
    tenfold = changes >= 1_000_000
    counts = {"user": 1000 if tenfold else 300, "group": 40 if tenfold else 10, "item": changes // 50 or 1}
    people, groups, items = ([sys_id_of(kind, n) for n in range(count)] for kind, count in counts.items())
    sample = Random(changes).sample(range(changes), min(changes, 2000))
    return Life(
        changes,
        people,
        groups,
        items,
        [sys_id_of("service", n) for n in range(SERVICES)],
        [sys_id_of("pipeline", n) for n in range(PIPELINES)],
        [sys_id_of("change", n) for n in sample],
    )


def fill_life(database_url: str, changes: int, *, has_prose: bool = True) -> Life:
    """Fill a prepared database, which no other process uses in the meantime, with two years of changes.

    Without prose, changes have no description and no plan, which are most of what the index of texts contains.
    """
    life, engine = life_of(changes), create_engine(database_url)
    facts = _facts(life)
    load_rows(engine, SysUser, map(_user, range(len(life.users)), life.users, names_of(life)))
    load_rows(engine, SysUserGroup, ({"sys_id": s, "name": f"Group {n}"} for n, s in enumerate(life.groups)))
    load_rows(engine, CmdbCi, _items(life))
    load_rows(engine, OAuthEntity, (_pipeline(n, sys_id) for n, sys_id in enumerate(life.pipelines)))
    with without_indexes(engine, Task):
        changes_of_life = _changes(life, facts)
        load_rows(engine, ChangeRequest, changes_of_life if has_prose else map(_without_prose, changes_of_life))
        load_rows(engine, ChangeTask, _tasks(life, facts))
    with without_indexes(engine, SysapprovalApprover):
        load_rows(engine, SysapprovalApprover, _approvals(life, facts))
    count_on(engine, FIRST_NUMBER + changes)
    engine.dispose()
    return life


def host_of(item: int) -> str:
    """Return the name of an item, which the short descriptions of its changes contain."""
    return f"srv-{item:05}"


def names_of(life: Life) -> list[str]:
    """Return a different name for each person, composed of first and last names that other people also have."""
    random, lasts = Random(len(life.users)), [beginning + ending for beginning in BEGINNINGS for ending in ENDINGS]
    random.shuffle(lasts)
    drawn = dict[str, None]()
    while len(drawn) < len(life.users):
        [first], [last] = _uneven(random, FIRST_NAMES, 1, NAMES_SKEW), _uneven(random, lasts, 1, NAMES_SKEW)
        drawn[f"{first} {last}"] = None
    return [*drawn]


def _user(number: int, sys_id: str, name: str) -> Row:
    login = f"desk.user.{number}"
    return {"sys_id": sys_id, "user_name": login, "name": name, "email": f"{login}@bench.example"}


def _items(life: Life) -> Iterator[Row]:
    for n, sys_id in enumerate(life.items):
        yield {"sys_id": sys_id, "name": host_of(n), "sys_class_name": "cmdb_ci"}
    for n, sys_id in enumerate(life.services):
        yield {"sys_id": sys_id, "name": f"Service {n}", "sys_class_name": "cmdb_ci_service"}


def _pipeline(number: int, sys_id: str) -> Row:
    of_type = {"type": "jwt_bearer", "name": f"Pipeline {number}", "client_id": f"{number:032x}"}
    lists = {"audiences": ["bench"], "algorithms": ["RS256"]}
    lives = {"access_token_lifespan_seconds": 600, "clock_skew_seconds": 60}
    flags = {"enable_jti_verification": True, "replay_policy": "jti-required-once", "key_source": "jwks_url"}
    return {"sys_id": sys_id, **of_type, **lists, **lives, **flags, "jwks_url": "", "jti_claim": "jti", "active": True}


@dataclass(frozen=True)
class _Facts:
    """Random values for all changes, drawn by column, which is much faster than by change."""

    states: Sequence[int]
    columns: dict[str, Sequence[Any]]


def _facts(life: Life) -> _Facts:
    random, count = Random(life.changes), life.changes
    states = [*_states(random, count)]
    people = {name: _uneven(random, life.users, count) for name in ("assigned_to", "opened_by")}
    columns: dict[str, Sequence[Any]] = {
        **people,
        "assignment_group": _uneven(random, life.groups, count),
        "item": _uneven(random, range(len(life.items)), count),
        "business_service": _uneven(random, life.services, count),
        "oauth_entity": _uneven(random, life.pipelines, count),
        "repository": _uneven(random, range(REPOSITORIES), count),
        "type": random.choices([*TYPES], [*TYPES.values()], k=count),
        "risk": random.choices([*RISKS], [*RISKS.values()], k=count),
        "category": random.choices([*CATEGORIES], k=count),
        "reason": random.choices([*REASONS], k=count),
        "verb": random.choices(VERBS, k=count),
        "days_ahead": random.choices(range(1, 15), k=count),
        "minutes": random.choices(range(0, 1440, 15), k=count),
        "chance": [random.random() for _ in range(count)],
    }
    return _Facts(states, columns)


def _states(random: Random, count: int) -> Iterator[int]:
    opened = iter(random.choices([*OPEN], [*OPEN.values()], k=count))
    ended = iter(random.choices([*ENDED], [*ENDED.values()], k=count))
    for number in range(count):
        is_open = random.random() < (OPEN_RECENT if number >= RECENT * count else OPEN_EARLIER)
        yield next(opened if is_open else ended)


def _uneven(random: Random, choices: Sequence[Any], count: int, skew: float = SKEW) -> list[Any]:
    weights = [*accumulate((n + 1) ** -skew for n in range(len(choices)))]
    return random.choices(choices, cum_weights=weights, k=count)


def _sentences() -> list[str]:
    random = Random(SENTENCES)
    words = ["".join(random.choices(SYLLABLES, k=random.randint(2, 4))) for _ in range(SENTENCES)]
    drawn = iter(_uneven(random, words, SENTENCES * WORDS_OF_SENTENCE))
    return [" ".join(islice(drawn, WORDS_OF_SENTENCE)).capitalize() + "." for _ in range(SENTENCES)]


def _changes(life: Life, facts: _Facts) -> Iterator[Row]:
    sentences, random = _sentences(), Random(life.changes + 1)
    step = TWO_YEARS / life.changes
    names = [*facts.columns]
    for number, (state, *drawn) in enumerate(zip(facts.states, *facts.columns.values(), strict=True)):
        of = dict(zip(names, drawn, strict=True))
        yield {
            **_about(life, number, of, " ".join(random.choices(sentences, k=3))),
            **_provenance(number, of),
            **_course(BEGIN + step * number, state, of),
        }


def _without_prose(change: Row) -> Row:
    return {**change, "description": None, "implementation_plan": None}


def _about(life: Life, number: int, of: dict[str, Any], description: str) -> dict[str, Any]:
    shown, opened_by = f"CHG{FIRST_NUMBER + number:07}", of["opened_by"]
    return {
        "sys_id": sys_id_of("change", number),
        "sys_class_name": "change_request",
        "number": shown,
        "task_effective_number": shown,
        "short_description": f"{of['verb']} {host_of(of['item'])} to build {number}",
        "description": description,
        "implementation_plan": PLAN,
        "type": of["type"],
        "risk": of["risk"],
        "category": of["category"],
        "reason": of["reason"],
        # A twentieth waits for a group.
        "assignment_group": None if of["chance"] > 0.95 else of["assignment_group"],
        "assigned_to": of["assigned_to"],
        "opened_by": opened_by,
        "requested_by": opened_by,
        "cmdb_ci": life.items[of["item"]],
        "business_service": of["business_service"],
    }


def _provenance(number: int, of: dict[str, Any]) -> dict[str, Any]:
    is_made = of["chance"] < FROM_PIPELINES
    return {
        "oauth_entity": of["oauth_entity"] if is_made else None,
        "correlation_id": f"run-{number}" if is_made else None,
        "source_repository": f"desk/service-{of['repository']}" if is_made else None,
        "source_commit": sys_id_of("commit", number) if is_made else None,
        "source_run": f"{number}" if is_made else None,
    }


def _course(opened: datetime, state: int, of: dict[str, Any]) -> dict[str, Any]:
    opened = opened.replace(microsecond=0)
    start = opened.replace(hour=0, minute=0, second=0) + timedelta(days=of["days_ahead"], minutes=of["minutes"])
    end = start + timedelta(hours=2)
    has_ended = state in ENDED
    return {
        "state": state,
        "active": not has_ended,
        "approval": "requested" if state in {ASSESS, AUTHORIZE} else "not requested" if state == NEW else "approved",
        "sys_created_on": opened,
        "sys_updated_on": end if has_ended else opened + timedelta(hours=of["minutes"] / 60),
        "opened_at": opened,
        "start_date": start,
        "end_date": end,
        "closed_at": end if has_ended else None,
    }


def _tasks(life: Life, facts: _Facts) -> Iterator[Row]:
    """Yield a task for every second change."""
    for number in range(0, life.changes, 2):
        has_ended = facts.states[number] in ENDED
        yield {
            "sys_id": sys_id_of("task", number),
            "sys_class_name": "change_task",
            "number": f"CTASK{number:07}",
            "short_description": "Verify the deployment",
            "change_request": sys_id_of("change", number),
            "assignment_group": facts.columns["assignment_group"][number],
            "assigned_to": facts.columns["assigned_to"][number],
            "state": CLOSED if has_ended else 1,
            "active": not has_ended,
            "sys_created_on": (at := (BEGIN + TWO_YEARS / life.changes * number).replace(microsecond=0)),
            "sys_updated_on": at,
        }


def _approvals(life: Life, facts: _Facts) -> Iterator[Row]:
    """Yield two approvals for each normal change that was presented; those of open ones may be undecided."""
    random = Random(life.changes + 2)
    people, groups = (_uneven(random, choices, life.changes) for choices in (life.users, life.groups))
    for number in range(life.changes):
        state = facts.states[number]
        if facts.columns["type"][number] != "normal" or state == NEW:
            continue
        for part in range(2):
            is_waiting = state in {ASSESS, AUTHORIZE}
            yield {
                "sys_id": sys_id_of(f"approval {part}", number),
                "sysapproval": sys_id_of("change", number),
                "document_id": sys_id_of("change", number),
                "source_table": "change_request",
                "approver": people[(number + part) % life.changes],
                "group": groups[number],
                "state": "requested" if is_waiting else "approved",
                "asked_by_policy": True,
                "sys_created_on": (BEGIN + TWO_YEARS / life.changes * number).replace(microsecond=0),
            }


def day_before(life: Life, days: int) -> date:
    """Return a day before the end of the two years."""
    return (life.end - timedelta(days=days)).date()
