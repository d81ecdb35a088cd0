"""The records of five years: people, groups, configuration items, and changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from random import Random
from typing import Any

from sqlalchemy import Engine, create_engine, delete, insert
from sqlalchemy import text as sql

from benchmarks.bulk import Row, load_rows
from changegate.models import ChangeRequest, CmdbCi, SysUser, SysUserGroup
from changegate.models.change_request import CATEGORIES, CHANGE_TYPES, REASONS, RISKS
from changegate.models.task import NUMBER_SEQUENCES, PRIORITIES, SysNumberCounter

# An instance that is ten times as large has ten times as many groups, so that a group always has 500 changes. It also
# has ten times as many changes in each state.
CHANGES_OF_A_GROUP = 500
CHANGES_OF_A_USER = 1000
SAMPLE = 2000
# How the states of changes are spread, in percent: nearly all are closed or canceled.
STATES = {3: 82, 4: 6, -5: 3, -4: 2, -3: 1, -2: 2, -1: 2, 0: 2}
ENDED = frozenset({3, 4})
OPEN_STATES = tuple(state for state in STATES if state not in ENDED)
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
FIVE_YEARS = timedelta(days=5 * 365)
FIRST_NUMBER = 30_001
TYPES, KINDS, CAUSES = tuple(CHANGE_TYPES), tuple(CATEGORIES), tuple(REASONS)
PLAN = "Take the node out of the balancer, deploy, run the smoke tests, put it back; then the next one. "


@dataclass(frozen=True)
class Past:
    """The records that the traffic uses: the number of changes, some of them, and the groups."""

    changes: int
    sys_ids: Sequence[str]
    groups: Sequence[str]


@dataclass(frozen=True)
class People:
    """The sys_ids of the records to which the changes refer."""

    users: Sequence[str]
    groups: Sequence[str]
    items: Sequence[str]


def fill(database_url: str, changes: int) -> Past:
    """Fill a prepared database, which no other process uses in the meantime, always with the same changes."""
    random = Random(changes)
    engine = create_engine(database_url)
    people = _fill_people(engine, changes)
    load_rows(engine, ChangeRequest, _changes(random, people, changes))
    count_on(engine, FIRST_NUMBER + changes)
    engine.dispose()
    sample = random.sample(range(changes), min(SAMPLE, changes))
    return Past(changes, [sys_id_of("change", number) for number in sample], people.groups)


def sys_id_of(kind: str, number: int) -> str:
    """Return a sys_id that is spread over an index like a random one."""
    return sha256(f"{kind} {number}".encode()).hexdigest()[:32]


def _fill_people(engine: Engine, changes: int) -> People:
    users = [sys_id_of("user", number) for number in range(ceil(changes / CHANGES_OF_A_USER))]
    groups = [sys_id_of("group", number) for number in range(ceil(changes / CHANGES_OF_A_GROUP))]
    items = [sys_id_of("item", number) for number in range(len(users))]
    load_rows(engine, SysUser, (_user(n, sys_id) for n, sys_id in enumerate(users)))
    load_rows(engine, SysUserGroup, (_group(n, sys_id, users) for n, sys_id in enumerate(groups)))
    load_rows(engine, CmdbCi, ({"sys_id": sys_id, "name": f"node-{n}"} for n, sys_id in enumerate(items)))
    return People(users, groups, items)


def _user(number: int, sys_id: str) -> Row:
    user_name = f"user.{number}"
    return {"sys_id": sys_id, "user_name": user_name, "name": f"User {number}", "email": f"{user_name}@bench.example"}


def _group(number: int, sys_id: str, users: Sequence[str]) -> Row:
    return {"sys_id": sys_id, "name": f"Group {number}", "manager": users[number % len(users)]}


def _changes(random: Random, people: People, changes: int) -> Iterator[Row]:
    step = FIVE_YEARS / changes
    states = random.choices(list(STATES), list(STATES.values()), k=changes)
    for number, state in enumerate(states):
        yield _change(random, people, number, state) | _dates(BEGIN + step * number, state in ENDED)


def _change(random: Random, people: People, number: int, state: int) -> dict[str, Any]:
    shown = f"CHG{FIRST_NUMBER + number:07}"
    opened_by, assigned_to = random.choices(people.users, k=2)
    return {
        "sys_id": sys_id_of("change", number),
        "sys_class_name": "change_request",
        "number": shown,
        "task_effective_number": shown,
        "short_description": f"Roll out build {number}",
        "description": f"Pipeline {number} deploys to production after its tests passed.",
        "implementation_plan": PLAN * random.randint(1, 5),
        "correlation_id": f"past-{number}",
        "state": state,
        "active": state not in ENDED,
        "type": random.choice(TYPES),
        "category": random.choice(KINDS),
        "reason": random.choice(CAUSES),
        "priority": random.randint(1, len(PRIORITIES)),
        "risk": random.randint(1, len(RISKS)),
        "assignment_group": random.choice(people.groups),
        "assigned_to": assigned_to,
        "opened_by": opened_by,
        "requested_by": opened_by,
        "cmdb_ci": random.choice(people.items),
    }


def _dates(opened: datetime, has_ended: bool) -> dict[str, datetime | None]:
    start = opened + timedelta(days=3)
    end = start + timedelta(hours=2)
    return {
        "sys_created_on": opened,
        "sys_updated_on": end if has_ended else opened,
        "opened_at": opened,
        "start_date": start,
        "end_date": end,
        "closed_at": end if has_ended else None,
    }


def count_on(engine: Engine, number: int) -> None:
    """Make this the number of the product's next change."""
    table = ChangeRequest.__mapper_args__["polymorphic_identity"]
    with engine.begin() as connection:
        if engine.dialect.supports_sequences:
            sequence = NUMBER_SEQUENCES[table].name
            connection.execute(
                sql("SELECT setval(:sequence, :number, false)"), {"sequence": sequence, "number": number}
            )
            return
        counter = SysNumberCounter.__table__
        connection.execute(delete(counter).where(counter.c.table == table))
        connection.execute(insert(counter).values(table=table, number=number - 1))
