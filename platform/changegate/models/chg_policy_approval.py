"""Approval policies: which changes need which approvals, the decisions that followed, and what was approved."""

from datetime import datetime

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

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
from changegate.models.change_request import CHANGE_STATES
from changegate.models.task import APPROVALS

# States on whose entry approvals are requested.
STAGES = {state: CHANGE_STATES[state] for state in ("-4", "-3")}
PROTECTIONS = {"read": "Read-only"}
APPROVER_SOURCES = {"users": "Users", "group": "Group", "field": "Field", "claims": "Verified claims"}
WAIT_FOR = {"first": "First response", "all": "All", "count": "Number of approvals", "percentage": "Percentage"}
OUTCOMES = {"approve": "Approve", "reject": "Reject"}


class ChgPolicyApproval(Record, Base):
    """A policy; the first active one in `order` whose model, state, and condition match a change is used.

    `version` counts the edits of the policy and of its rules.
    """

    __tablename__ = "chg_policy_approval"

    name: Mapped[str] = string("Name", 100, unique=True)
    description: Mapped[str | None] = text("Description", 1000)
    active: Mapped[bool] = boolean("Active", default=False)
    order: Mapped[int] = integer("Order", default=100)
    chg_model: Mapped[str | None] = reference("Model", "chg_model", ondelete="RESTRICT")
    state: Mapped[int] = integer_choice("State", STAGES)
    condition: Mapped[str | None] = text("Condition")
    counts_person_once: Mapped[bool] = boolean("One person counts for one rule", default=True)
    excludes_earlier: Mapped[bool] = boolean("One person approves in one state", default=True)
    requires_mapped_actor: Mapped[bool] = boolean("Person behind the token must be known", default=False)
    version: Mapped[int] = integer("Version", is_read_only=True, default=1)
    sys_policy: Mapped[str | None] = choice("Protection policy", PROTECTIONS, is_read_only=True)


class ChgApprovalDef(Record, Base):
    """A rule of a policy: whose approvals it needs and how many, or which verified claims decide it.

    The rules of a policy are joined by AND.
    """

    __tablename__ = "chg_approval_def"

    policy: Mapped[str] = reference("Approval policy", "chg_policy_approval", ondelete="CASCADE", index=True)
    name: Mapped[str] = string("Name", 100)
    order: Mapped[int] = integer("Order", default=100)
    approver_source: Mapped[str] = choice("Approver source", APPROVER_SOURCES)
    users: Mapped[str | None] = glide_list("Users", "sys_user")
    group: Mapped[str | None] = reference("Group", "sys_user_group", ondelete="RESTRICT")
    approver_field: Mapped[str | None] = string("Approver field", 80)
    wait_for: Mapped[str] = choice("Wait for", WAIT_FOR, default="first")
    value: Mapped[int | None] = integer("Number or percentage")
    condition: Mapped[str | None] = text("Condition on verified claims")
    outcome: Mapped[str] = choice("Outcome of verified claims", OUTCOMES, default="approve")
    accepts_earlier: Mapped[bool] = boolean("Accept approval of an earlier state", default=False)
    allows_requester: Mapped[bool] = boolean("Allow the requester to approve", default=False)
    required_role: Mapped[str | None] = reference("Required role", "sys_user_role", ondelete="RESTRICT")
    governed_fields: Mapped[str | None] = text("Governed fields", 1000)
    reminder_hours: Mapped[int | None] = integer("Remind after hours")
    escalation_hours: Mapped[int | None] = integer("Escalate after hours")
    expiry_hours: Mapped[int | None] = integer("Expire unanswered after hours")
    valid_hours: Mapped[int | None] = integer("Answer valid for hours")


class ChgApprovalDecision(Record, Base):
    """A decision about the approval of a change, never updated or deleted; it outlives change, policy, and rules.

    The latest decision with outcome Requested defines a stage: the rules as they were, and the required approvals.
    `facts` and `explanation` are JSON.
    """

    __tablename__ = "chg_approval_decision"
    __table_args__ = (UniqueConstraint("change_request", "sequence"),)

    change_request: Mapped[str] = reference("Change request", "change_request", is_stored_loose=True)
    number: Mapped[str] = string("Number", 40)
    sequence: Mapped[int] = integer("Sequence")
    round: Mapped[int] = integer("Round")
    stage: Mapped[int] = integer_choice("State", CHANGE_STATES)
    outcome: Mapped[str] = choice("Outcome", APPROVALS)
    reason: Mapped[str | None] = text("Reason")
    policy: Mapped[str | None] = reference("Approval policy", "chg_policy_approval", is_stored_loose=True)
    policy_name: Mapped[str | None] = string("Name of policy", 100)
    policy_version: Mapped[int | None] = integer("Version of policy")
    facts: Mapped[str | None] = text("Facts", 65536)
    explanation: Mapped[str | None] = text("Explanation", 65536)


class ChgApprovalContent(Base):
    """The governed fields of a change that people were asked to approve, as canonical JSON, stored once under its hash.

    Rows are never updated or deleted.
    """

    __tablename__ = "chg_approval_content"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = instant("Created")
