"""The trigram index of the texts of tasks: platform/changegate/database/text_index.py.

Revision: 0050, after 0049.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

COLUMNS = (
    *("number", "task_effective_number", "short_description", "description", "correlation_id", "correlation_display"),
    *("close_notes", "business_duration", "calendar_duration", "time_worked", "user_input", "delivery_plan"),
    *("delivery_task", "rejection_goto", "wf_activity", "oauth_client_id", "oauth_issuer", "oauth_subject"),
    *("oauth_exchange", "source_repository", "source_id", "source_ref", "source_commit", "source_workflow"),
    *("source_run", "source_run_url", "source_actor", "source_email", "source_environment", "risk_explanation"),
    *("justification", "implementation_plan", "backout_plan", "test_plan", "change_plan", "risk_impact_analysis"),
    *("review_comments", "review_status", "proposed_change", "cab_recommendation", "on_hold_reason", "ci_class"),
)
DOCUMENT = "lower(" + " || ' ' || ".join(f"coalesce({name}, '')" for name in COLUMNS) + ")"
NOTE = "BEGIN INSERT OR IGNORE INTO task_text_pending VALUES (new.sys_id); END"
FORGET = """BEGIN
    DELETE FROM task_text_document WHERE sys_id = old.sys_id;
    DELETE FROM task_text_pending WHERE sys_id = old.sys_id;
END"""
SQLITE = (
    "CREATE VIRTUAL TABLE task_text USING fts5(text, content = '', columnsize = 0, tokenize = trigram)",
    "CREATE TABLE task_text_document (document INTEGER PRIMARY KEY AUTOINCREMENT, sys_id VARCHAR(32) NOT NULL UNIQUE)",
    "CREATE TABLE task_text_pending (sys_id VARCHAR(32) NOT NULL PRIMARY KEY) WITHOUT ROWID",
    f"CREATE TRIGGER task_text_created AFTER INSERT ON task {NOTE}",
    f"CREATE TRIGGER task_text_updated AFTER UPDATE OF {', '.join(COLUMNS)} ON task {NOTE}",
    f"CREATE TRIGGER task_text_deleted AFTER DELETE ON task {FORGET}",
    "INSERT INTO task_text_pending SELECT sys_id FROM task",
)


def upgrade():
    """Create the index. On SQLite, a job fills it afterwards; on PostgreSQL, the extension pg_trgm is required."""
    if is_sqlite():
        for statement in SQLITE:
            op.execute(sa.text(statement))
        return
    op.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    texts = sa.text(f"({DOCUMENT}) gin_trgm_ops")
    # 16 MB of new entries: as long as a job sorts them in, no writer has to.
    options = {"gin_pending_list_limit": 16384}
    create_index_online("task_text", "task", [texts], postgresql_using="gin", postgresql_with=options)


def downgrade():
    """Drop the index. The extension stays, since others may use it."""
    if not is_sqlite():
        op.drop_index("task_text", "task")
        return
    for event in ("created", "updated", "deleted"):
        op.execute(sa.text(f"DROP TRIGGER task_text_{event}"))
    for name in ("", "_document", "_pending"):
        op.drop_table(f"task_text{name}")


def is_sqlite():
    """Return whether the database is SQLite."""
    return op.get_bind().dialect.name == "sqlite"
