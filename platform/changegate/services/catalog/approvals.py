"""Tables of approval policies, their rules, and decisions, and the versions of all records of the process."""

from functools import partial

from changegate.models import ChgApprovalDecision, ChgApprovalDef, ChgPolicyApproval, ChgProcessVersion
from changegate.services.approvals.policy_rules import ApprovalDefRules, PolicyRules
from changegate.services.catalog.access import ADMINISTRATORS, CHANGE_READERS, rows_of_own_tasks
from changegate.services.history.recorded_rules import recorded
from changegate.services.tables.registry import ANYONE, Access, Table

POLICY_ACCESS = Access(read=CHANGE_READERS, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS)
_recorded = partial(recorded, subject_table="chg_policy_approval", recorded_as="policy_edited")
APPROVAL_TABLES = (
    Table(
        name="chg_policy_approval",
        label="Approval Policy",
        model=ChgPolicyApproval,
        display_field="name",
        access=POLICY_ACCESS,
        rules=_recorded(PolicyRules, "chg_policy_approval"),
        parts=(("chg_approval_def", "policy"),),
        is_closed_to_tokens=True,
    ),
    Table(
        name="chg_approval_def",
        label="Approval Rule",
        model=ChgApprovalDef,
        display_field="name",
        access=POLICY_ACCESS,
        rules=_recorded(ApprovalDefRules, "chg_approval_def", subject_of=lambda _, rule: rule["policy"]),
        is_closed_to_tokens=True,
    ),
    Table(
        name="chg_approval_decision",
        label="Approval Decision",
        model=ChgApprovalDecision,
        display_field="outcome",
        access=Access(read=ANYONE),
        own_rows=rows_of_own_tasks("change_request"),
        reads_all=CHANGE_READERS,
        is_audited=False,
    ),
    Table(
        name="chg_process_version",
        label="Process Version",
        model=ChgProcessVersion,
        display_field="number",
        access=Access(read=CHANGE_READERS),
        is_audited=False,
    ),
)
