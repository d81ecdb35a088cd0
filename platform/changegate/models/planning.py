"""The planning of changes: risk conditions, and templates of standard changes with their proposals and versions."""

from datetime import datetime

from sqlalchemy import false
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import (
    Record,
    boolean,
    choice,
    glide_list,
    instant,
    integer,
    integer_choice,
    reference,
    string,
    text,
)
from changegate.models.change_request import RISKS

PROPOSAL_TYPES = {"new": "New Template", "modify": "Modify Template", "retire": "Retire Template"}
PROPOSAL_STATES = {"requested": "Requested", "approved": "Approved", "rejected": "Rejected", "canceled": "Canceled"}


class RiskCondition(Record, Base):
    """A condition with the risk of the changes that match; the first active one in `order` is used.

    Those with `assessment` are the ranges of the assessment's score: the higher of the two risks is used. `version`
    counts the edits.
    """

    __tablename__ = "risk_conditions"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    active: Mapped[bool] = boolean("Active", default=True)
    order: Mapped[int] = integer("Order", default=100)
    condition: Mapped[str | None] = text("Condition")
    risk: Mapped[int] = integer_choice("Risk", RISKS)
    assessment: Mapped[bool] = boolean("Range of the risk assessment", default=False)
    version: Mapped[int] = integer("Version", is_read_only=True, default=1)


class StdChangeRecordProducer(Record, Base):
    """A standard change template; `template` contains the values of its changes as an encoded query.

    Its content is edited here, and each edit publishes a version, from which changes are created. A template that is
    not active is retired.
    """

    __tablename__ = "std_change_record_producer"

    name: Mapped[str] = string("Name", 240, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    active: Mapped[bool] = boolean("Active", default=True)
    template: Mapped[str | None] = text("Template", 20000)
    mandatory_fields: Mapped[str | None] = text("Mandatory fields", 1000)
    read_only_fields: Mapped[str | None] = text("Read-only fields", 1000)
    integrations: Mapped[str | None] = glide_list("Integrations", "oauth_entity")
    # To people who may not create changes otherwise.
    offered_to_all: Mapped[bool] = boolean("Offered to everyone", default=False, server_default=false())
    offered_to: Mapped[str | None] = glide_list("Offered to groups", "sys_user_group")
    version: Mapped[int] = integer("Version", is_read_only=True, default=1)
    # Without a foreign key, because the version refers to the template.
    current_version: Mapped[str | None] = reference(
        "Current version", "std_change_producer_version", is_read_only=True, is_stored_loose=True
    )


class StdChangeProposal(Record, Base):
    """A proposal to publish, modify, or retire a template, which another person decides about."""

    __tablename__ = "std_change_proposal"

    name: Mapped[str] = string("Template name", 240)
    proposal_type: Mapped[str] = choice("Type", PROPOSAL_TYPES, default="new")
    std_change_producer: Mapped[str | None] = reference("Standard Change Template", "std_change_record_producer")
    base_version: Mapped[int | None] = integer("Version that was modified", is_read_only=True)
    description: Mapped[str | None] = text("Description", 1000)
    template: Mapped[str | None] = text("Template", 20000)
    mandatory_fields: Mapped[str | None] = text("Mandatory fields", 1000)
    read_only_fields: Mapped[str | None] = text("Read-only fields", 1000)
    state: Mapped[str] = choice("State", PROPOSAL_STATES, default="requested")
    comments: Mapped[str | None] = text("Comments")
    proposed_by: Mapped[str] = reference("Proposed by", "sys_user", is_read_only=True, ondelete="RESTRICT")
    decided_by: Mapped[str | None] = reference("Decided by", "sys_user", is_read_only=True, ondelete="RESTRICT")
    decided_at: Mapped[datetime | None] = instant("Decided", is_read_only=True)


class StdChangeProducerVersion(Record, Base):
    """A published version of a template: its content as it was, which never changes.

    Only the current version of a template that is not retired is active.
    """

    __tablename__ = "std_change_producer_version"

    name: Mapped[str] = string("Name", 255, unique=True)
    version: Mapped[int] = integer("Version", default=1)
    active: Mapped[bool] = boolean("Active", default=True)
    std_change_producer: Mapped[str] = reference(
        "Standard Change Template", "std_change_record_producer", ondelete="CASCADE", index=True
    )
    std_change_proposal: Mapped[str | None] = reference("Proposal", "std_change_proposal")
    template: Mapped[str | None] = text("Template", 20000)
    mandatory_fields: Mapped[str | None] = text("Mandatory fields", 1000)
    read_only_fields: Mapped[str | None] = text("Read-only fields", 1000)
