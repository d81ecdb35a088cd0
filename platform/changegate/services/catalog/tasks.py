"""The tables of the change process: the classes of tasks, and the rows that belong to a task."""

from functools import partial

from changegate.models import (
    ChangeRequest,
    ChangeTask,
    ChgHistory,
    ChgMgtWorker,
    Conflict,
    SysapprovalApprover,
    Task,
    TaskCi,
    TaskCmdbCiService,
)
from changegate.models.change_request import CHANGE_STATES
from changegate.models.change_task import CHANGE_TASK_STATES
from changegate.models.task import NUMBER_PREFIXES
from changegate.services.catalog.access import (
    CHANGE_MANAGERS,
    CHANGE_READERS,
    CHANGE_WRITERS,
    INTERNAL_JOURNALS,
    READ_BY_ANYONE,
    history_of_existing,
    own_approvals,
    own_history,
    own_tasks,
    rows_of_caller,
    rows_of_own_tasks,
)
from changegate.services.notifications.observers import ApprovalObserver, TaskObserver
from changegate.services.process.affected_ci_rules import AffectedCiRules, ImpactedServiceRules
from changegate.services.process.approval_rules import ApprovalRules
from changegate.services.process.change_rules import ChangeRules
from changegate.services.process.task_rules import ChangeTaskRules
from changegate.services.schedules.windows import path_of_windows
from changegate.services.tables.registry import ANYONE, Access, Table

# The field with the integration that created the task.
INTEGRATION_FIELD = "oauth_entity"
JOURNAL_FIELDS = {"comments": "Additional comments", "work_notes": "Work notes"}
# Fields that show the entries of several journals.
JOURNAL_VIEWS = {"comments_and_work_notes": ("comments", "work_notes")}
# Fields that clients expect to exist and that have no stored value.
BLANK_TASK_FIELDS = ("approval_history", "comments", "comments_and_work_notes", "work_notes", "sys_tags", "variables")
# Approvals and history are no parts: they stay when their task is deleted.
PARTS_OF_TASKS = (("task_ci", "task"), ("task_cmdb_ci_service", "task"))
AFFECTED_ACCESS = Access(read=ANYONE, create=CHANGE_WRITERS, update=CHANGE_WRITERS, delete=CHANGE_WRITERS)
CHANGE_ACCESS = Access(read=ANYONE, create=CHANGE_WRITERS, update=CHANGE_WRITERS, delete=CHANGE_MANAGERS)
_task_table = partial(
    Table,
    display_field="number",
    own_rows=own_tasks,
    origin_field=INTEGRATION_FIELD,
    reads_all=CHANGE_READERS,
    filled_by_rules=("state",),
    blank_fields=BLANK_TASK_FIELDS,
    journal_fields=JOURNAL_FIELDS,
    journal_views=JOURNAL_VIEWS,
    internal_journals=INTERNAL_JOURNALS,
)

TASK_TABLES = (
    # Read only: the rules of a write depend on the class of the task, so each class is written through its own table.
    _task_table(
        name="task",
        label="Task",
        model=Task,
        access=READ_BY_ANYONE,
    ),
    _task_table(
        name="change_request",
        label="Change Request",
        model=ChangeRequest,
        access=CHANGE_ACCESS,
        rules=ChangeRules(),
        observer=TaskObserver(),
        extends="task",
        classes=("change_request",),
        display_prefix=NUMBER_PREFIXES["change_request"],
        parts=(("change_task", "change_request"), ("chg_freeze_override", "change_request"), *PARTS_OF_TASKS),
        choices={"state": CHANGE_STATES},
        contended_field="state",
        restated_fields=frozenset({"risk"}),
        related_path=path_of_windows,
    ),
    _task_table(
        name="change_task",
        label="Change Task",
        model=ChangeTask,
        access=CHANGE_ACCESS,
        rules=ChangeTaskRules(),
        observer=TaskObserver(),
        extends="task",
        classes=("change_task",),
        display_prefix=NUMBER_PREFIXES["change_task"],
        parts=PARTS_OF_TASKS,
        choices={"state": CHANGE_TASK_STATES},
    ),
    # Always empty: some clients read a row of it as a health check.
    Table(
        name="incident",
        label="Incident",
        model=Task,
        display_field="number",
        access=READ_BY_ANYONE,
        own_rows=own_tasks,
        origin_field=INTEGRATION_FIELD,
        reads_all=CHANGE_READERS,
        extends="task",
        classes=("incident",),
        blank_fields=BLANK_TASK_FIELDS,
    ),
    Table(
        name="task_ci",
        label="Affected CI",
        model=TaskCi,
        display_field="sys_id",
        access=AFFECTED_ACCESS,
        rules=AffectedCiRules(),
        own_rows=rows_of_own_tasks("task"),
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
    ),
    Table(
        name="task_cmdb_ci_service",
        label="Impacted Service",
        model=TaskCmdbCiService,
        display_field="sys_id",
        access=AFFECTED_ACCESS,
        rules=ImpactedServiceRules(),
        own_rows=rows_of_own_tasks("task"),
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
    ),
    Table(
        name="conflict",
        label="Conflict",
        model=Conflict,
        display_field="type",
        access=READ_BY_ANYONE,
        own_rows=rows_of_own_tasks("change"),
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
        is_audited=False,
    ),
    Table(
        name="chg_mgt_worker",
        label="Change Management Worker",
        model=ChgMgtWorker,
        display_field="type",
        access=READ_BY_ANYONE,
        own_rows=rows_of_caller,
        origin_field=INTEGRATION_FIELD,
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
        is_audited=False,
    ),
    Table(
        name="sysapproval_approver",
        label="Approval",
        model=SysapprovalApprover,
        display_field="sys_id",
        # Any caller may be an approver. `ApprovalRules` refuses updates by others.
        access=Access(read=ANYONE, create=CHANGE_MANAGERS, update=ANYONE, delete=CHANGE_MANAGERS),
        rules=ApprovalRules(),
        observer=ApprovalObserver(),
        write_limit="Users answer the approvals that ask them, and those delegated to them.",
        own_rows=own_approvals,
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
    ),
    Table(
        name="chg_history",
        label="Change History",
        model=ChgHistory,
        display_field="kind",
        access=READ_BY_ANYONE,
        own_rows=own_history,
        reads_all=CHANGE_READERS,
        shown_rows=history_of_existing,
        reads_hidden=CHANGE_MANAGERS,
        is_audited=False,
    ),
)
