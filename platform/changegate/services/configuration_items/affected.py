"""Affected items of a change and services that it impacts, written many at a time."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import String, delete, insert, literal, select

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.models import CmdbCi, Task, TaskCi, TaskCmdbCiService
from changegate.models.base import new_sys_id
from changegate.services.configuration_items.relations import ancestors_of, items_of_change

SERVICE, OFFERING = "cmdb_ci_service", "service_offering"
# Items in one request, and impacted services of one change.
MOST_ITEMS_AT_ONCE = 10_000
_IDS_AT_ONCE = 500
_ITEMS = CmdbCi.__table__.c


def require_items(sys_ids: Sequence[str], ci_class: str | None = None) -> None:
    """Check that all items exist, of a class if one is given. Raises `RequestUnreadable` naming one that does not."""
    is_of_class = () if ci_class is None else (_ITEMS["sys_class_name"] == ci_class,)
    known: set[str] = set()
    for at in range(0, len(sys_ids), _IDS_AT_ONCE):
        some = _ITEMS["sys_id"].in_(sys_ids[at : at + _IDS_AT_ONCE])
        known.update(connection().execute(select(_ITEMS["sys_id"]).where(some, *is_of_class)).scalars())
    unknown = next((sys_id for sys_id in sys_ids if sys_id not in known), None)
    if unknown is not None:
        kind = ci_class or "cmdb_ci"
        raise RequestUnreadable(f"Field cmdb_ci_sys_ids: no record of {kind} has the sys_id {unknown[:100]}")


def add_affected(change: str, items: Iterable[str], author: str) -> list[str]:
    """Add affected items to a locked change; return those that it did not have."""
    return _add(TaskCi, "ci_item", change, items, author, manual_proposed_change=False)


def add_services(change: str, services: Iterable[str], author: str) -> list[str]:
    """Add impacted services or offerings to a locked change by hand; return those that it did not have."""
    return _add(TaskCmdbCiService, "cmdb_ci_service", change, services, author, manually_added=True)


def refresh_services(change: str, author: str) -> tuple[int, int]:
    """Make the impacted services of a locked change those that depend on its items; return how many came and went.

    Services that were added by hand stay.
    """
    main = select(Task.__table__.c["cmdb_ci"]).where(Task.__table__.c["sys_id"] == change).scalar_subquery()
    above = ancestors_of(items_of_change(literal(change, String), main)).subquery()
    services = select(_ITEMS["sys_id"]).join(above, _ITEMS["sys_id"] == above.c.item)
    services = services.where(_ITEMS["sys_class_name"].in_((SERVICE, OFFERING))).limit(MOST_ITEMS_AT_ONCE)
    wanted = set(connection().execute(services).scalars())
    rows = TaskCmdbCiService.__table__.c
    stored = connection().execute(
        select(rows["sys_id"], rows["cmdb_ci_service"]).where(rows["task"] == change, rows["manually_added"].is_(False))
    )
    obsolete = [row.sys_id for row in stored if row.cmdb_ci_service not in wanted]
    for at in range(0, len(obsolete), _IDS_AT_ONCE):
        some = obsolete[at : at + _IDS_AT_ONCE]
        connection().execute(delete(TaskCmdbCiService.__table__).where(rows["sys_id"].in_(some)))
    added = _add(TaskCmdbCiService, "cmdb_ci_service", change, sorted(wanted), author, manually_added=False)
    return len(added), len(obsolete)


def _add(model: type[Any], column: str, change: str, items: Iterable[str], author: str, **values: Any) -> list[str]:
    table = model.__table__
    had: Collection[str] = set(connection().execute(select(table.c[column]).where(table.c["task"] == change)).scalars())
    new = [item for item in dict.fromkeys(items) if item not in had]
    if new:
        by = dict.fromkeys(("sys_created_by", "sys_updated_by"), author)
        rows = [{"sys_id": new_sys_id(), "task": change, column: item, **by, **values} for item in new]
        connection().execute(insert(table), rows)
    return new
