"""Tables of approval policies, their rules, and decisions."""

from changegate.models import ChgApprovalDecision, ChgApprovalDef, ChgPolicyApproval
from changegate.services.catalog.access import CHANGE_READERS, rows_of_own_tasks
from changegate.services.tables.registry import ANYONE, Access, Table

APPROVAL_TABLES = (
    Table("chg_policy_approval", "Approval Policy", ChgPolicyApproval, "name", Access(read=CHANGE_READERS)),
    Table("chg_approval_def", "Approval Rule", ChgApprovalDef, "name", Access(read=CHANGE_READERS)),
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
