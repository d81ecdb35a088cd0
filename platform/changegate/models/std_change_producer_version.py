"""Versions of standard change templates, with the initial values of pre-approved changes."""

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, integer, string, text


class StdChangeProducerVersion(Record, Base):
    """A published template; `template` contains its values as an encoded query."""

    __tablename__ = "std_change_producer_version"

    name: Mapped[str] = string("Name", 255, unique=True)
    version: Mapped[int] = integer("Version", default=1)
    active: Mapped[bool] = boolean("Active", default=True)
    std_change_producer: Mapped[str | None] = string("Standard Change Template", 255)
    template: Mapped[str | None] = text("Template", 20000)
