"""The ORM's session, which joins the unit of work that Core statements are part of."""

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
        """Return what the session works on: the plain connection where there is one."""
        return self._work.connection_of_session() or super().get_bind(*arguments, **options)

    def commit(self) -> None:
        """Commit the unit of work."""
        self._work.commit()

    def rollback(self) -> None:
        """Take the unit of work back."""
        self._work.rollback()

    def close(self) -> None:
        """End the unit of work, and forget every object."""
        self._work.close()

    def holds_objects(self) -> bool:
        """Tell whether the ORM takes part in the unit of work."""
        return bool(self.in_transaction() or self.new or len(self.identity_map))

    def commit_objects(self) -> None:
        """Flush and commit what the ORM holds; for the unit of work alone."""
        super().commit()

    def rollback_objects(self) -> None:
        """Take back what the ORM holds; for the unit of work alone."""
        super().rollback()

    def close_objects(self) -> None:
        """Forget what the ORM holds; for the unit of work alone."""
        super().close()
