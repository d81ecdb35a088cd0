"""Whether the line in front of an SQLite database stands still."""

from sqlalchemy import Engine

from changegate.database.write_queue import write_queue_of


def has_room(engine: Engine) -> bool:
    """Return whether the next writer may begin; on other databases every writer may."""
    return engine.dialect.name != "sqlite" or may_write_to(str(engine.url.database))


def may_write_to(file: str) -> bool:
    """Return whether the next writer to a database file may begin."""
    lock = write_queue_of(file).lock
    is_free = lock.acquire(blocking=False)
    if is_free:
        lock.release()
    return is_free
