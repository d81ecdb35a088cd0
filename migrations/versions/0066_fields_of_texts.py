"""The index of texts on SQLite by fields, with columns that pages need: docs/decisions/0033-common-queries.md.

Revision: 0066, after 0065.
"""

import sqlite3

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

FIELDS = (
    *("number", "task_effective_number", "short_description", "description", "correlation_id", "correlation_display"),
    *("close_notes", "business_duration", "calendar_duration", "time_worked", "user_input", "delivery_plan"),
    *("delivery_task", "rejection_goto", "wf_activity", "oauth_client_id", "oauth_issuer", "oauth_subject"),
    *("oauth_exchange", "source_repository", "source_id", "source_ref", "source_commit", "source_workflow"),
    *("source_run", "source_run_url", "source_actor", "source_email", "source_environment", "risk_explanation"),
    *("justification", "implementation_plan", "backout_plan", "test_plan", "change_plan", "risk_impact_analysis"),
    *("review_comments", "review_status", "proposed_change", "cab_recommendation", "on_hold_reason", "ci_class"),
)
COPIED = ("sys_class_name VARCHAR(80)", "sys_created_on DATETIME", "number VARCHAR(40)")
NOTE = "BEGIN INSERT OR IGNORE INTO task_text_pending VALUES (new.sys_id); END"
UNCOPIED = "ix_task_text_document_uncopied"


def upgrade():
    """Index the texts again, by field. Older code puts all texts into `text`, and copies no columns."""
    if op.get_bind().dialect.name != "sqlite":
        return
    run(f"DROP INDEX IF EXISTS {UNCOPIED}")
    for column in COPIED:
        run(f"ALTER TABLE task_text_document ADD COLUMN {column}")
    run(f"CREATE INDEX {UNCOPIED} ON task_text_document (sys_id) WHERE sys_class_name IS NULL")
    # In the first column, an entry is shorter.
    renew(
        ("description", *(name for name in FIELDS if name != "description"), "text"),
        (*FIELDS, "sys_class_name", "sys_created_on"),
    )


def downgrade():
    """Index the texts again, all in one column."""
    if op.get_bind().dialect.name != "sqlite":
        return
    run(f"DROP INDEX {UNCOPIED}")
    for column in COPIED:
        run(f"ALTER TABLE task_text_document DROP COLUMN {column.partition(' ')[0]}")
    renew(("text",), FIELDS)


def renew(indexed, noted):
    """Create the index, which a job then fills, and note the changes of columns."""
    options = "contentless_delete = 1" if sqlite3.sqlite_version_info >= (3, 43) else "columnsize = 0"
    for statement in (
        "DROP TABLE task_text",
        f"CREATE VIRTUAL TABLE task_text USING fts5({', '.join(indexed)}, content = '', {options}, tokenize = trigram)",
        "DELETE FROM task_text_document",
        "DELETE FROM task_text_pending",
        "UPDATE task_text_last SET sys_id = ''",
        "DROP TRIGGER task_text_updated",
        f"CREATE TRIGGER task_text_updated AFTER UPDATE OF {', '.join(noted)} ON task {NOTE}",
    ):
        run(statement)


def run(statement):
    """Execute a statement."""
    op.execute(sa.text(statement))
