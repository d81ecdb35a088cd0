"""the tables of the Table API.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


CHANGE_TASK_NUMBERS = sa.Sequence("change_task_number", start=10001)
# Names are compared without case. On SQLite a table is rebuilt without its indexes on expressions, so these go first.
USER_NAMES = ("uq_sys_user_user_name_lower", "sys_user", [sa.text("lower(user_name)")])
LOWER_NAMES = (
    ("ix_task_correlation_id_lower", "task", [sa.text("lower(correlation_id)")]),
    ("ix_sys_user_name_lower", "sys_user", [sa.text("lower(name)")]),
    ("ix_sys_user_group_name_lower", "sys_user_group", [sa.text("lower(name)")]),
    ("ix_cmdb_ci_name_lower", "cmdb_ci", [sa.text("lower(name)")]),
)
PAGE_INDEXES = (
    ("ix_task_state_page", ["state", "sys_class_name", "sys_created_on", "sys_id"]),
    ("ix_task_active_page", ["active", "sys_class_name", "sys_created_on", "assignment_group"]),
    ("ix_task_assignment_group_page", ["assignment_group", "sys_class_name", "sys_created_on"]),
    ("ix_task_sys_created_on", ["sys_created_on", "sys_class_name"]),
    ("ix_task_sys_updated_on", ["sys_updated_on", "sys_class_name"]),
)
FILLED = (
    "parent",
    "universal_request",
    "assigned_to",
    "opened_by",
    "oauth_entity",
    "requested_by",
    "change_request",
)
FORMER_INDEXES = ("state", "active", "assignment_group", "correlation_id")
NEW_TABLES = (
    "task_ci",
    "sysapproval_approver",
    "sys_tiny_url",
    "sys_attachment_doc",
    "sys_journal_field",
    "sys_idempotency_key",
    "sys_dictionary",
    "sys_db_object",
    "sys_choice",
    "sys_audit",
    "sys_attachment",
    "std_change_producer_version",
    "chg_model",
)


def has_sequences():
    return op.get_bind().dialect.supports_sequences


def record_columns():
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )


def upgrade():
    if has_sequences():
        op.execute(sa.schema.CreateSequence(CHANGE_TASK_NUMBERS))
    create_tables()
    op.drop_index(USER_NAMES[0], "sys_user")
    add_columns()
    extend_users()
    extend_tasks()
    op.create_index(*USER_NAMES, unique=True)
    for name, table, expressions in LOWER_NAMES:
        op.create_index(name, table, expressions)


def create_tables():
    op.create_table(
        "chg_model",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("available_in_ui", sa.Boolean(), nullable=False),
        sa.Column("default_change_model", sa.Boolean(), nullable=False),
        sa.Column("color", sa.String(length=40), nullable=True),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("state_field", sa.String(length=80), nullable=False),
        sa.Column("record_preset", sa.Text(), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_chg_model")),
        sa.UniqueConstraint("name", name=op.f("uq_chg_model_name")),
    )
    op.create_table(
        "std_change_producer_version",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("std_change_producer", sa.String(length=255), nullable=True),
        sa.Column("template", sa.Text(), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_std_change_producer_version")),
        sa.UniqueConstraint("name", name=op.f("uq_std_change_producer_version_name")),
    )
    op.create_table(
        "sys_attachment",
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("size_compressed", sa.Integer(), nullable=False),
        sa.Column("compressed", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("chunk_size_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("table_sys_id", sa.String(length=32), nullable=False),
        sa.Column("image_height", sa.Integer(), nullable=True),
        sa.Column("image_width", sa.Integer(), nullable=True),
        sa.Column("average_image_color", sa.String(length=40), nullable=True),
        sa.Column("encryption_context", sa.String(length=32), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_attachment")),
    )
    op.create_index(op.f("ix_sys_attachment_table_name_table_sys_id"), "sys_attachment", ["table_name", "table_sys_id"])

    op.create_table(
        "sys_audit",
        sa.Column("tablename", sa.String(length=80), nullable=False),
        sa.Column("fieldname", sa.String(length=80), nullable=False),
        sa.Column("documentkey", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=40), nullable=False),
        sa.Column("oldvalue", sa.Text(), nullable=True),
        sa.Column("newvalue", sa.Text(), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_audit")),
    )
    op.create_index(op.f("ix_sys_audit_tablename_documentkey"), "sys_audit", ["tablename", "documentkey"])

    op.create_table(
        "sys_choice",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("element", sa.String(length=80), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("language", sa.String(length=3), nullable=False),
        sa.Column("inactive", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_choice")),
        sa.UniqueConstraint(
            "name", "element", "language", "value", name=op.f("uq_sys_choice_name_element_language_value")
        ),
    )
    op.create_table(
        "sys_db_object",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("super_class", sa.String(length=32), nullable=True),
        sa.Column("is_extendable", sa.Boolean(), nullable=False),
        *record_columns(),
        sa.ForeignKeyConstraint(
            ["super_class"], ["sys_db_object.sys_id"], name=op.f("fk_sys_db_object_super_class"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_db_object")),
        sa.UniqueConstraint("name", name=op.f("uq_sys_db_object_name")),
    )
    op.create_table(
        "sys_dictionary",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("element", sa.String(length=80), nullable=False),
        sa.Column("column_label", sa.String(length=80), nullable=False),
        sa.Column("internal_type", sa.String(length=40), nullable=False),
        sa.Column("max_length", sa.Integer(), nullable=True),
        sa.Column("reference", sa.String(length=80), nullable=True),
        sa.Column("choice", sa.Integer(), nullable=False),
        sa.Column("default_value", sa.Text(), nullable=True),
        sa.Column("mandatory", sa.Boolean(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("unique", sa.Boolean(), nullable=False),
        sa.Column("primary", sa.Boolean(), nullable=False),
        sa.Column("display", sa.Boolean(), nullable=False),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_dictionary")),
        sa.UniqueConstraint("name", "element", name=op.f("uq_sys_dictionary_name_element")),
    )
    op.create_table(
        "sys_idempotency_key",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("table", sa.String(length=80), nullable=False),
        sa.Column("record", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_sys_idempotency_key")),
    )
    op.create_index(op.f("ix_sys_idempotency_key_expires_at"), "sys_idempotency_key", ["expires_at"])

    op.create_table(
        "sys_journal_field",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("element", sa.String(length=80), nullable=False),
        sa.Column("element_id", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_journal_field")),
    )
    op.create_index(op.f("ix_sys_journal_field_element_id_element"), "sys_journal_field", ["element_id", "element"])

    op.create_table(
        "sys_attachment_doc",
        sa.Column("attachment", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attachment"], ["sys_attachment.sys_id"], name=op.f("fk_sys_attachment_doc_attachment"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attachment", "position", name=op.f("pk_sys_attachment_doc")),
    )
    op.create_table(
        "sys_tiny_url",
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f("fk_sys_tiny_url_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_sys_tiny_url")),
    )
    op.create_index(op.f("ix_sys_tiny_url_expires_at"), "sys_tiny_url", ["expires_at"])
    op.create_index(op.f("ix_sys_tiny_url_user"), "sys_tiny_url", ["user"])

    op.create_table(
        "sysapproval_approver",
        sa.Column("sysapproval", sa.String(length=32), nullable=True),
        sa.Column("approver", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("source_table", sa.String(length=80), nullable=True),
        sa.Column("document_id", sa.String(length=32), nullable=True),
        sa.Column("approval_source", sa.String(length=100), nullable=True),
        sa.Column("due_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("order", sa.Integer(), nullable=True),
        *record_columns(),
        sa.ForeignKeyConstraint(
            ["approver"], ["sys_user.sys_id"], name=op.f("fk_sysapproval_approver_approver"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sysapproval"], ["task.sys_id"], name=op.f("fk_sysapproval_approver_sysapproval"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sysapproval_approver")),
    )
    op.create_index(op.f("ix_sysapproval_approver_approver"), "sysapproval_approver", ["approver"])
    op.create_index(op.f("ix_sysapproval_approver_sysapproval"), "sysapproval_approver", ["sysapproval"])

    op.create_table(
        "task_ci",
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("ci_item", sa.String(length=32), nullable=False),
        sa.Column("manual_proposed_change", sa.Boolean(), nullable=False),
        *record_columns(),
        sa.ForeignKeyConstraint(["ci_item"], ["cmdb_ci.sys_id"], name=op.f("fk_task_ci_ci_item"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task"], ["task.sys_id"], name=op.f("fk_task_ci_task"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_task_ci")),
        sa.UniqueConstraint("task", "ci_item", name=op.f("uq_task_ci_task_ci_item")),
    )
    op.create_index(op.f("ix_task_ci_ci_item"), "task_ci", ["ci_item"])


def add_columns():
    """Add the columns that must have a value, with one for the rows that exist."""
    with op.batch_alter_table("sys_api_access_scope") as batch_op:
        batch_op.add_column(sa.Column("writable_fields", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("own_records", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("sys_api_access_scope") as batch_op:
        batch_op.alter_column("own_records", server_default=None)
    with op.batch_alter_table("sys_user_has_role") as batch_op:
        batch_op.add_column(sa.Column("state", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("inherited", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("sys_user_has_role") as batch_op:
        batch_op.alter_column("inherited", server_default=None)
        batch_op.create_index(batch_op.f("ix_sys_user_has_role_role"), ["role"], unique=False)
    op.execute("UPDATE sys_user_has_role SET state = 'active'")


def extend_users():
    with op.batch_alter_table("sys_user") as batch_op:
        batch_op.add_column(sa.Column("phone", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("mobile_phone", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("manager", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("department", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("company", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("location", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("time_zone", sa.String(length=100), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_sys_user_manager"), "sys_user", ["manager"], ["sys_id"], ondelete="SET NULL"
        )


def extend_tasks():
    # These led nowhere so far: there were no such tables.
    op.execute("UPDATE task SET chg_model = NULL, std_change_producer_version = NULL")
    with op.batch_alter_table("task") as batch_op:
        for name in FORMER_INDEXES:
            batch_op.drop_index(batch_op.f(f"ix_task_{name}"))
        batch_op.add_column(sa.Column("oauth_entity", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("change_request", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("change_task_type", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("created_from", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("planned_start_date", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("planned_end_date", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_task_change_request"), "task", ["change_request"], ["sys_id"], ondelete="CASCADE"
        )
        for column in ("chg_model", "oauth_entity", "std_change_producer_version"):
            batch_op.create_foreign_key(
                batch_op.f(f"fk_task_{column}"), column, [column], ["sys_id"], ondelete="SET NULL"
            )
    for name, columns in PAGE_INDEXES:
        op.create_index(name, "task", columns)
    for column in FILLED:
        is_filled = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_task_{column}", "task", [column], sqlite_where=is_filled, postgresql_where=is_filled)


def downgrade():
    op.drop_index(USER_NAMES[0], "sys_user")
    for name, table, _ in LOWER_NAMES:
        op.drop_index(name, table)
    reduce_tasks()
    reduce_users()
    with op.batch_alter_table("sys_user_has_role") as batch_op:
        batch_op.drop_index(batch_op.f("ix_sys_user_has_role_role"))
        batch_op.drop_column("inherited")
        batch_op.drop_column("state")
    with op.batch_alter_table("sys_api_access_scope") as batch_op:
        batch_op.drop_column("own_records")
        batch_op.drop_column("writable_fields")
    for table in NEW_TABLES:
        op.drop_table(table)
    op.create_index(*USER_NAMES, unique=True)
    if has_sequences():
        op.execute(sa.schema.DropSequence(CHANGE_TASK_NUMBERS))


def reduce_tasks():
    for column in FILLED:
        op.drop_index(f"ix_task_{column}", "task")
    for name, _ in PAGE_INDEXES:
        op.drop_index(name, "task")
    # The former schema knows no change tasks, and no models or templates to refer to.
    op.execute("UPDATE task SET chg_model = NULL, std_change_producer_version = NULL")
    op.execute("DELETE FROM task WHERE sys_class_name = 'change_task'")
    with op.batch_alter_table("task") as batch_op:
        for column in ("std_change_producer_version", "oauth_entity", "chg_model", "change_request"):
            batch_op.drop_constraint(batch_op.f(f"fk_task_{column}"), type_="foreignkey")
        for column in (
            "planned_end_date",
            "planned_start_date",
            "created_from",
            "change_task_type",
            "change_request",
            "oauth_entity",
        ):
            batch_op.drop_column(column)
        for name in FORMER_INDEXES:
            batch_op.create_index(batch_op.f(f"ix_task_{name}"), [name], unique=False)


def reduce_users():
    with op.batch_alter_table("sys_user") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_sys_user_manager"), type_="foreignkey")
        for column in ("time_zone", "location", "company", "department", "manager", "mobile_phone", "phone"):
            batch_op.drop_column(column)
