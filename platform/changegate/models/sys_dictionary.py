"""The served tables and their fields as records, written by `changegate prepare` from the registry."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, integer, string, text
from changegate.models.base import reference as reference_to


class SysDbObject(Record, Base):
    """A served table."""

    __tablename__ = "sys_db_object"

    name: Mapped[str] = string("Name", 80, unique=True)
    label: Mapped[str] = string("Label", 80)
    super_class: Mapped[str | None] = reference_to("Extends table", "sys_db_object")
    is_extendable: Mapped[bool] = boolean("Extensible", default=False)


class SysDictionary(Record, Base):
    """A field of a served table."""

    __tablename__ = "sys_dictionary"
    __table_args__ = (UniqueConstraint("name", "element"),)

    name: Mapped[str] = string("Table", 80)
    element: Mapped[str] = string("Column name", 80)
    column_label: Mapped[str] = string("Column label", 80)
    internal_type: Mapped[str] = string("Type", 40)
    max_length: Mapped[int | None] = integer("Max length")
    reference: Mapped[str | None] = string("Reference", 80)
    choice: Mapped[int] = integer("Choice", default=0)
    default_value: Mapped[str | None] = text("Default value", 255)
    mandatory: Mapped[bool] = boolean("Mandatory", default=False)
    read_only: Mapped[bool] = boolean("Read only", default=False)
    active: Mapped[bool] = boolean("Active", default=True)
    unique: Mapped[bool] = boolean("Unique", default=False)
    primary: Mapped[bool] = boolean("Primary", default=False)
    display: Mapped[bool] = boolean("Display", default=False)
