"""Tables for the planning of changes: risk conditions, and templates of standard changes with their proposals."""

from functools import partial

from changegate.models import RiskCondition, StdChangeProducerVersion, StdChangeProposal, StdChangeRecordProducer
from changegate.services.catalog.access import (
    ADMINISTRATORS,
    CHANGE_MANAGERS,
    CHANGE_READERS,
    CHANGE_WRITERS,
    READ_BY_ANYONE,
    REFERENCE_DATA,
)
from changegate.services.history.recorded_rules import recorded
from changegate.services.risk.condition_rules import RiskConditionRules
from changegate.services.standard_changes.proposal_rules import ProposalRules
from changegate.services.standard_changes.template_rules import TemplateRules
from changegate.services.tables.registry import Access, Table

_table = partial(Table, blank_fields=("sys_tags",), is_closed_to_tokens=True)

PLANNING_TABLES = (
    _table(
        "risk_conditions",
        "Risk Condition",
        RiskCondition,
        "name",
        Access(read=CHANGE_READERS, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS),
        rules=recorded(RiskConditionRules, "risk_conditions", recorded_as="risk_condition_edited"),
    ),
    # A template approves the changes that are created from it.
    _table(
        "std_change_record_producer",
        "Standard Change Template",
        StdChangeRecordProducer,
        "name",
        REFERENCE_DATA,
        rules=recorded(TemplateRules, "std_change_record_producer", recorded_as="template_edited"),
        parts=(("std_change_producer_version", "std_change_producer"),),
    ),
    # Read only: versions are published by their template.
    _table(
        "std_change_producer_version",
        "Standard Change Template Version",
        StdChangeProducerVersion,
        "name",
        READ_BY_ANYONE,
    ),
    _table(
        "std_change_proposal",
        "Standard Change Proposal",
        StdChangeProposal,
        "name",
        Access(read=CHANGE_READERS, create=CHANGE_WRITERS, update=CHANGE_WRITERS, delete=CHANGE_MANAGERS),
        rules=recorded(ProposalRules, "std_change_proposal", recorded_as="proposal_edited"),
        filled_by_rules=("name",),
    ),
)
