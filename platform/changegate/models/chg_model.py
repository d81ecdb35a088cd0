"""Change models: the kinds of changes, with the initial values of a new change."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import SYS_ID_LENGTH, Record, boolean, reference, string, text

# The models of every instance, by the type of their changes. Clients rely on the sys_id of Standard.
MODELS_OF_TYPES = {
    "normal": "007c4001c343101035ae3f52c1d3aeb2",
    "standard": "e55d0bfec343101035ae3f52c1d3ae49",
    "emergency": "62db4801c343101035ae3f52c1d3ae5e",
}


class ChgModel(Record, Base):
    """A change model; `record_preset` contains the initial values of a change as an encoded query."""

    __tablename__ = "chg_model"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    active: Mapped[bool] = boolean("Active", default=True)
    available_in_ui: Mapped[bool] = boolean("Available in UI", default=True)
    default_change_model: Mapped[bool] = boolean("Default change model", default=False)
    color: Mapped[str | None] = string("Color", 40)
    table_name: Mapped[str] = string("Table", 80, default="change_request")
    state_field: Mapped[str] = string("State field", 80, default="state")
    record_preset: Mapped[str | None] = text("Record preset")
    # ServiceNow's name for the protection of a shipped record: "read" makes it read-only for every caller.
    sys_policy: Mapped[str | None] = string("Protection policy", 40, is_read_only=True)
    copied_from: Mapped[str | None] = reference("Copied from", "chg_model")
    # Another value after each write of the states, transitions, and conditions: the key under which they are cached.
    states_version: Mapped[str | None] = mapped_column(String(SYS_ID_LENGTH))
