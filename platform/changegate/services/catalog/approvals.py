"""Tables of approval policies, their rules, and decisions."""

from changegate.models import ChgApprovalDecision, ChgApprovalDef, ChgPolicyApproval
from changegate.services.approvals.policy_rules import ApprovalDefRules, PolicyRules
from changegate.services.catalog.access import ADMINISTRATORS, CHANGE_READERS, rows_of_own_tasks
from changegate.services.tables.registry import ANYONE, Access, Table

POLICY_ACCESS = Access(read=CHANGE_READERS, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS)
APPROVAL_TABLES = (
    Table(
        name="chg_policy_approval",
        label="Approval Policy",
        model=ChgPolicyApproval,
        display_field="name",
        access=POLICY_ACCESS,
        rules=PolicyRules(),
        parts=(("chg_approval_def", "policy"),),
        is_closed_to_tokens=True,
    ),
    Table(
        name="chg_approval_def",
        label="Approval Rule",
        model=ChgApprovalDef,
        display_field="name",
        access=POLICY_ACCESS,
        rules=ApprovalDefRules(),
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
)
