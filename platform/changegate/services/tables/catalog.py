"""Which tables the Table API serves. Adding one is a model and an entry in one of the lists joined here."""

from changegate.services.attachments.removal import remove_attachments
from changegate.services.tables.catalog_people import CI_TABLES, REFERENCE_TABLES
from changegate.services.tables.catalog_system import SYSTEM_TABLES
from changegate.services.tables.catalog_tasks import TASK_TABLES
from changegate.services.tables.registry import serve_tables

TABLES = serve_tables(
    (*TASK_TABLES, *REFERENCE_TABLES, *CI_TABLES, *SYSTEM_TABLES),
    cascades=(remove_attachments,),
)
