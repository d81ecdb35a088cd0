"""The tables that the Table API serves, with their access and rules. A new table is a model and an entry here.

Begin with `tasks`, `approvals`, `state_models`, `schedules`, `planning`, `people`, and `system`, which contain the
entries. `access` contains roles and the clauses for own rows.
"""

from changegate.services.attachments.writing import remove_attachments
from changegate.services.catalog.approvals import APPROVAL_TABLES
from changegate.services.catalog.people import CI_TABLES, REFERENCE_TABLES
from changegate.services.catalog.planning import PLANNING_TABLES
from changegate.services.catalog.schedules import SCHEDULE_TABLES
from changegate.services.catalog.state_models import STATE_MODEL_TABLES
from changegate.services.catalog.system import SYSTEM_TABLES
from changegate.services.catalog.tasks import TASK_TABLES
from changegate.services.conflicts.detection import forget_record
from changegate.services.tables.registry import serve_tables
from changegate.services.tables.upkeep import index_texts, renew_statistics
from changegate.services.workers.workers import forget_workers

# The jobs about the served tables begin to repeat with the import of the catalog.
__all__ = ["TABLES", "index_texts", "renew_statistics"]

TABLES = serve_tables(
    (
        *TASK_TABLES,
        *APPROVAL_TABLES,
        *STATE_MODEL_TABLES,
        *PLANNING_TABLES,
        *SCHEDULE_TABLES,
        *REFERENCE_TABLES,
        *CI_TABLES,
        *SYSTEM_TABLES,
    ),
    cascades=(remove_attachments, forget_record, forget_workers),
)
