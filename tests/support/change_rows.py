"""Changes with values of every kind, and the world they live in as a plain reading sees it."""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select

from changegate.extensions import db
from changegate.models import ChangeRequest, SysUser, SysUserGroup
from changegate.models.change_request import CHANGE_STATES
from tests.support.plain_reading import World

USERS = [
    {"sys_id": "a" * 32, "user_name": "ann", "name": "Ann Example", "active": True},
    {"sys_id": "b" * 32, "user_name": "BOB", "name": "ann", "active": False},
    {"sys_id": "c" * 32, "user_name": "cy.lee", "name": "bob%", "active": True},
]
GROUPS = [
    {"sys_id": "d" * 32, "name": "Network", "manager": "a" * 32, "description": None},
    {"sys_id": "e" * 32, "name": "network operations", "manager": None, "description": "on call"},
]
INSTANTS = [
    datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2025, 12, 29, tzinfo=UTC),
    datetime(2026, 1, 1, 12, tzinfo=UTC),
    datetime(2026, 1, 31, 8, 29, 59, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2027, 1, 3, 4, 5, 6, tzinfo=UTC),
]
POOLS: Mapping[str, list[Any]] = {
    "short_description": ["Firewall", "FIREWALL", "fire_wall", "fire%wall", "a^b/c", "Ä\\ä", "", None],
    "description": ["wall\nfire", "FIRE", None],
    "correlation_id": ["fire", "Fire", "x" * 32, "", None],
    "state": [-5, -1, 0, 3],
    "priority": [1, 2, 3, 4],
    "order": [-3, 0, 2, 10, None],
    "risk": [2, 4, None],
    "active": [True, False],
    "on_hold": [True, False, None],
    "start_date": [*INSTANTS, None],
    "end_date": [*INSTANTS, None],
    "cab_date": [date(2025, 12, 29), date(2026, 1, 31), date(2026, 7, 1), None],
    "category": ["Network", "Software", None],
    "assigned_to": [*(user["sys_id"] for user in USERS), None],
    "assignment_group": [*(group["sys_id"] for group in GROUPS), None],
}
KINDS = {
    **dict.fromkeys(("short_description", "description", "correlation_id", "number"), "string"),
    **dict.fromkeys(("state", "priority", "order", "risk"), "integer"),
    **dict.fromkeys(("active", "on_hold", "assigned_to.active", "assignment_group.manager.active"), "boolean"),
    **dict.fromkeys(("start_date", "end_date"), "instant"),
    "cab_date": "day",
    "category": "choice",
    **dict.fromkeys(("assigned_to", "assignment_group", "assignment_group.manager"), "reference"),
    **dict.fromkeys(
        ("assigned_to.user_name", "assignment_group.name", "assignment_group.description"),
        "string",
    ),
    "assignment_group.manager.name": "string",
}
LABELS = {
    "state": CHANGE_STATES,
    "priority": {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low"},
    "risk": {"1": "Very High", "2": "High", "3": "Moderate", "4": "Low"},
}
HOW_MANY = 60


def world_of(now: datetime) -> World:
    """Return the world at an instant."""
    records = {str(record["sys_id"]): record for record in (*USERS, *GROUPS)}
    return World(KINDS, LABELS, records, now)


def insert_rows() -> list[dict[str, Any]]:
    """Insert the people and the changes, the same ones each time, and return the changes as they are stored."""
    chosen = random.Random(20260131)
    rows = [
        {"number": f"CHG{at:07}", **{name: chosen.choice(pool) for name, pool in POOLS.items()}}
        for at in range(HOW_MANY)
    ]
    db.session.execute(insert(SysUser.__table__), USERS)
    db.session.execute(insert(SysUserGroup.__table__), GROUPS)
    db.session.execute(insert(ChangeRequest.__table__), [{"sys_class_name": "change_request", **row} for row in rows])
    db.session.commit()
    return rows


def count_changes(app: Flask) -> int:
    """Return how many changes an application has stored."""
    with app.app_context():
        return db.session.execute(select(func.count()).select_from(ChangeRequest)).scalar_one()
