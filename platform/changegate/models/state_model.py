"""State models: the states of the changes of a model, the transitions between them, and their conditions."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, integer, reference, string, text


class SttrmState(Record, Base):
    """A state of a model. `mandatory_fields` are the fields, separated by commas, that a change in it must have."""

    __tablename__ = "sttrm_state"
    __table_args__ = (UniqueConstraint("sttrm_model", "state_value"),)

    sttrm_model: Mapped[str] = reference("Model", "sttrm_model", stored_in="chg_model", ondelete="CASCADE")
    state_value: Mapped[int] = integer("State value")
    state_label: Mapped[str] = string("State label", 40)
    initial: Mapped[bool] = boolean("Initial", default=False)
    mandatory_fields: Mapped[str | None] = string("Mandatory fields", 255)
    order: Mapped[int] = integer("Order", default=100)


class SttrmStateTransition(Record, Base):
    """A transition of a model; of several that are possible, the one with the lowest order is made."""

    __tablename__ = "sttrm_state_transition"

    sttrm_model: Mapped[str] = reference("Model", "sttrm_model", stored_in="chg_model", ondelete="CASCADE", index=True)
    name: Mapped[str] = string("Name", 100)
    from_state: Mapped[str] = reference("From state", "sttrm_state", ondelete="CASCADE", index=True)
    to_state: Mapped[str] = reference("To state", "sttrm_state", ondelete="CASCADE", index=True)
    automatic_transition: Mapped[bool] = boolean("Automatic transition", default=False)
    order: Mapped[int] = integer("Order", default=100)
    active: Mapped[bool] = boolean("Active", default=True)


class SttrmTransitionCondition(Record, Base):
    """A condition of a transition: an encoded query, and in `description` a sentence that says how to satisfy it."""

    __tablename__ = "sttrm_transition_condition"

    transition: Mapped[str] = reference("Transition", "sttrm_state_transition", ondelete="CASCADE", index=True)
    name: Mapped[str] = string("Name", 100)
    condition: Mapped[str] = text("Condition")
    description: Mapped[str] = text("Description", 1000)
    order: Mapped[int] = integer("Order", default=100)
