"""Changes whose texts take as long as possible to search, and the queries that search them."""

from sqlalchemy import insert

from changegate.extensions import db
from changegate.models import ChangeRequest, SysJournalField

FIELDS = ("description", "justification", "implementation_plan", "backout_plan", "test_plan")
LENGTH = 4000
MOST = 1000  # characters of a fragment


def insert_long_texts(count: int) -> None:
    """Insert changes with long texts in all of `FIELDS`; needs an application context."""
    texts = dict.fromkeys(FIELDS, "a" * LENGTH)
    rows = [
        {
            "number": f"CHG9{at:06}",
            "sys_class_name": "change_request",
            "state": -5,
            "short_description": "long",
            **texts,
        }
        for at in range(count)
    ]
    db.session.execute(insert(ChangeRequest.__table__), rows)
    db.session.commit()


def insert_journals(count: int) -> None:
    """Insert journal entries of the greatest length; needs an application context."""
    rows = [{"name": "change_request", "element_id": "0" * 32, "element": "comments", "value": "a" * 65_536}] * count
    db.session.execute(insert(SysJournalField.__table__), rows)
    db.session.commit()


def searches(operator: str, length: int = MOST, tail: str = "b") -> str:
    """Return a query that looks in each field for a text that nearly matches at every place."""
    return "^OR".join(f"{field}{operator}{'a' * (length - len(tail))}{tail}" for field in FIELDS)
