"""The ORM session, which joins the unit of work of Core statements."""

from typing import Any

from flask_sqlalchemy.session import Session

from changegate.database.unit_of_work import unit_of_work


class LeanSession(Session):
    """A session that shares connection, commit and rollback with the Core statements of its application context.

    See decision 0006.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._work = unit_of_work()
        self._work.join(self)

    def get_bind(self, *arguments: Any, **options: Any) -> Any:
        """Return the connection of the unit of work if Core statements have opened one, otherwise the engine."""
        return self._work.connection_of_session() or super().get_bind(*arguments, **options)

    def commit(self) -> None:
        """Commit the unit of work."""
        self._work.commit()

    def rollback(self) -> None:
        """Roll the unit of work back."""
        self._work.rollback()

    def close(self) -> None:
        """End the unit of work and discard every object."""
        self._work.close()

    def holds_objects(self) -> bool:
        """Return whether the ORM has a transaction or objects in the unit of work."""
        return bool(self.in_transaction() or self.new or len(self.identity_map))

    def commit_objects(self) -> None:
        """Flush and commit the objects of the ORM; only the unit of work calls this."""
        # The base class, because `self.commit` would call the unit of work again, without end.
        super().commit()

    def rollback_objects(self) -> None:
        """Roll back the changes of the ORM; only the unit of work calls this."""
        super().rollback()

    def close_objects(self) -> None:
        """Discard the objects of the ORM; only the unit of work calls this."""
        super().close()
