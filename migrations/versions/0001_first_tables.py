"""first tables.

Revision: 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# Where numbers of changes start; SQLite has no sequences and counts in sys_number_counter.
CHANGE_NUMBERS = sa.Sequence("change_request_number", start=30001)


def has_sequences():
    return op.get_bind().dialect.supports_sequences


def upgrade():
    if has_sequences():
        op.execute(sa.schema.CreateSequence(CHANGE_NUMBERS))
    op.create_table(
        "sys_auth_scope",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_auth_scope")),
        sa.UniqueConstraint("name", name=op.f("uq_sys_auth_scope_name")),
    )
    op.create_table(
        "sys_number_counter",
        sa.Column("table", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_number_counter")),
        sa.UniqueConstraint("table", name=op.f("uq_sys_number_counter_table")),
    )
    op.create_table(
        "sys_user",
        sa.Column("user_name", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=151), nullable=False),
        sa.Column("first_name", sa.String(length=50), nullable=True),
        sa.Column("last_name", sa.String(length=50), nullable=True),
        sa.Column("email", sa.String(length=100), nullable=True),
        sa.Column("employee_number", sa.String(length=40), nullable=True),
        sa.Column("title", sa.String(length=60), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("locked_out", sa.Boolean(), nullable=False),
        sa.Column("web_service_access_only", sa.Boolean(), nullable=False),
        sa.Column("user_password", sa.String(length=255), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("last_login_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_user")),
        sa.UniqueConstraint("user_name", name=op.f("uq_sys_user_user_name")),
    )
    with op.batch_alter_table("sys_user", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sys_user_email"), ["email"], unique=False)
    op.create_index("uq_sys_user_user_name_lower", "sys_user", [sa.text("lower(user_name)")], unique=True)

    op.create_table(
        "sys_user_role",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_user_role")),
        sa.UniqueConstraint("name", name=op.f("uq_sys_user_role_name")),
    )
    op.create_table(
        "oauth_entity",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("provider_name", sa.String(length=100), nullable=True),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("client_secret_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_client_secret_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_client_secret_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_secret_hint", sa.String(length=4), nullable=True),
        sa.Column("public_client", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("audiences", sa.JSON(), nullable=False),
        sa.Column("algorithms", sa.JSON(), nullable=False),
        sa.Column("user_field", sa.String(length=40), nullable=True),
        sa.Column("run_as", sa.String(length=32), nullable=True),
        sa.Column("jwks_url", sa.String(length=2048), nullable=False),
        sa.Column("enable_jti_verification", sa.Boolean(), nullable=False),
        sa.Column("jti_claim", sa.String(length=100), nullable=False),
        sa.Column("access_token_lifespan_seconds", sa.Integer(), nullable=False),
        sa.Column("clock_skew_seconds", sa.Integer(), nullable=False),
        sa.Column("max_assertion_lifetime_seconds", sa.Integer(), nullable=False),
        sa.Column("jwks_cache_lifespan_minutes", sa.Integer(), nullable=False),
        sa.Column("token_format", sa.String(length=40), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_as"], ["sys_user.sys_id"], name=op.f("fk_oauth_entity_run_as"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_oauth_entity")),
        sa.UniqueConstraint("client_id", name=op.f("uq_oauth_entity_client_id")),
        sa.UniqueConstraint("name", name=op.f("uq_oauth_entity_name")),
    )
    op.create_table(
        "sys_api_access_scope",
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("rest_api", sa.String(length=40), nullable=False),
        sa.Column("http_method", sa.String(length=10), nullable=False),
        sa.Column("table", sa.String(length=80), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scope"], ["sys_auth_scope.sys_id"], name=op.f("fk_sys_api_access_scope_scope"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_api_access_scope")),
    )
    with op.batch_alter_table("sys_api_access_scope", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sys_api_access_scope_scope"), ["scope"], unique=False)

    op.create_table(
        "sys_user_group",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("manager", sa.String(length=32), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("email", sa.String(length=100), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manager"], ["sys_user.sys_id"], name=op.f("fk_sys_user_group_manager"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_user_group")),
        sa.UniqueConstraint("name", name=op.f("uq_sys_user_group_name")),
    )
    op.create_table(
        "sys_user_has_role",
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role"], ["sys_user_role.sys_id"], name=op.f("fk_sys_user_has_role_role"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_sys_user_has_role_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_user_has_role")),
        sa.UniqueConstraint("user", "role", name=op.f("uq_sys_user_has_role_user_role")),
    )
    with op.batch_alter_table("sys_user_has_role", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sys_user_has_role_user"), ["user"], unique=False)

    op.create_table(
        "cmdb_ci",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sys_class_name", sa.String(length=40), nullable=False),
        sa.Column("operational_status", sa.Integer(), nullable=False),
        sa.Column("short_description", sa.Text(), nullable=True),
        sa.Column("assignment_group", sa.String(length=32), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_group"],
            ["sys_user_group.sys_id"],
            name=op.f("fk_cmdb_ci_assignment_group"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_cmdb_ci")),
    )
    with op.batch_alter_table("cmdb_ci", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cmdb_ci_name"), ["name"], unique=False)

    op.create_table(
        "jwks_cache",
        sa.Column("entity_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("document_sha256", sa.String(length=64), nullable=True),
        sa.Column("etag", sa.String(length=1000), nullable=True),
        sa.Column("last_modified", sa.String(length=100), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("unknown_kid_fetch_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["oauth_entity.sys_id"], name=op.f("fk_jwks_cache_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_jwks_cache")),
    )
    op.create_table(
        "oauth_credential",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assertion_issuer", sa.String(length=255), nullable=True),
        sa.Column("assertion_subject", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_credential_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_oauth_credential_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_oauth_credential")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("oauth_credential", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_credential_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "oauth_entity_scope",
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_entity_scope_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["scope"], ["sys_auth_scope.sys_id"], name=op.f("fk_oauth_entity_scope_scope"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("entity", "scope", name=op.f("pk_oauth_entity_scope")),
    )
    op.create_table(
        "oauth_jti",
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_jti_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity", "issuer", "digest", name=op.f("pk_oauth_jti")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("oauth_jti", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_jti_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "oauth_token_event",
        sa.Column("correlation_id", sa.String(length=32), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("entity", sa.String(length=32), nullable=True),
        sa.Column("client_id", sa.String(length=100), nullable=True),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("kid", sa.String(length=256), nullable=True),
        sa.Column("algorithm", sa.String(length=20), nullable=True),
        sa.Column("issuer", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("jti_digest", sa.String(length=64), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_token_event_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f("pk_oauth_token_event")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("oauth_token_event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_oauth_token_event_entity_correlation_id"), ["entity", "correlation_id"], unique=False
        )

    op.create_table(
        "sys_user_grmember",
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("group", sa.String(length=32), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group"], ["sys_user_group.sys_id"], name=op.f("fk_sys_user_grmember_group"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_sys_user_grmember_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_user_grmember")),
        sa.UniqueConstraint("user", "group", name=op.f("uq_sys_user_grmember_user_group")),
    )
    with op.batch_alter_table("sys_user_grmember", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sys_user_grmember_group"), ["group"], unique=False)
        batch_op.create_index(batch_op.f("ix_sys_user_grmember_user"), ["user"], unique=False)

    op.create_table(
        "task",
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("sys_class_name", sa.String(length=80), nullable=False),
        sa.Column("sys_domain", sa.String(length=32), nullable=False),
        sa.Column("sys_domain_path", sa.String(length=255), nullable=False),
        sa.Column("task_effective_number", sa.String(length=40), nullable=True),
        sa.Column("short_description", sa.String(length=160), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("approval", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("impact", sa.Integer(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("escalation", sa.Integer(), nullable=False),
        sa.Column("parent", sa.String(length=32), nullable=True),
        sa.Column("assignment_group", sa.String(length=32), nullable=True),
        sa.Column("assigned_to", sa.String(length=32), nullable=True),
        sa.Column("opened_by", sa.String(length=32), nullable=True),
        sa.Column("closed_by", sa.String(length=32), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cmdb_ci", sa.String(length=32), nullable=True),
        sa.Column("business_service", sa.String(length=32), nullable=True),
        sa.Column("service_offering", sa.String(length=32), nullable=True),
        sa.Column("company", sa.String(length=32), nullable=True),
        sa.Column("location", sa.String(length=32), nullable=True),
        sa.Column("contract", sa.String(length=32), nullable=True),
        sa.Column("universal_request", sa.String(length=32), nullable=True),
        sa.Column("correlation_id", sa.String(length=100), nullable=True),
        sa.Column("correlation_display", sa.String(length=100), nullable=True),
        sa.Column("contact_type", sa.String(length=40), nullable=True),
        sa.Column("close_notes", sa.Text(), nullable=True),
        sa.Column("due_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("work_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("work_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("follow_up", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activity_due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sla_due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approval_set", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_sla", sa.Boolean(), nullable=False),
        sa.Column("knowledge", sa.Boolean(), nullable=False),
        sa.Column("needs_attention", sa.Boolean(), nullable=False),
        sa.Column("upon_approval", sa.String(length=40), nullable=False),
        sa.Column("upon_reject", sa.String(length=40), nullable=False),
        sa.Column("action_status", sa.Integer(), nullable=True),
        sa.Column("reassignment_count", sa.Integer(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=True),
        sa.Column("route_reason", sa.Integer(), nullable=True),
        sa.Column("watch_list", sa.Text(), nullable=True),
        sa.Column("work_notes_list", sa.Text(), nullable=True),
        sa.Column("additional_assignee_list", sa.Text(), nullable=True),
        sa.Column("group_list", sa.Text(), nullable=True),
        sa.Column("skills", sa.Text(), nullable=True),
        sa.Column("business_duration", sa.String(length=40), nullable=True),
        sa.Column("calendar_duration", sa.String(length=40), nullable=True),
        sa.Column("time_worked", sa.String(length=40), nullable=True),
        sa.Column("user_input", sa.Text(), nullable=True),
        sa.Column("delivery_plan", sa.String(length=32), nullable=True),
        sa.Column("delivery_task", sa.String(length=32), nullable=True),
        sa.Column("rejection_goto", sa.String(length=32), nullable=True),
        sa.Column("wf_activity", sa.String(length=32), nullable=True),
        sa.Column("task_for", sa.String(length=32), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=True),
        sa.Column("chg_model", sa.String(length=32), nullable=True),
        sa.Column("phase", sa.String(length=40), nullable=True),
        sa.Column("phase_state", sa.String(length=40), nullable=True),
        sa.Column("risk", sa.Integer(), nullable=True),
        sa.Column("risk_value", sa.Integer(), nullable=True),
        sa.Column("scope", sa.Integer(), nullable=True),
        sa.Column("category", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("close_code", sa.String(length=40), nullable=True),
        sa.Column("justification", sa.Text(), nullable=True),
        sa.Column("implementation_plan", sa.Text(), nullable=True),
        sa.Column("backout_plan", sa.Text(), nullable=True),
        sa.Column("test_plan", sa.Text(), nullable=True),
        sa.Column("change_plan", sa.Text(), nullable=True),
        sa.Column("risk_impact_analysis", sa.Text(), nullable=True),
        sa.Column("review_comments", sa.Text(), nullable=True),
        sa.Column("review_status", sa.String(length=40), nullable=True),
        sa.Column("review_date", sa.Date(), nullable=True),
        sa.Column("proposed_change", sa.Text(), nullable=True),
        sa.Column("start_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.String(length=32), nullable=True),
        sa.Column("requested_by_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cab_required", sa.Boolean(), nullable=True),
        sa.Column("cab_date", sa.Date(), nullable=True),
        sa.Column("cab_delegate", sa.String(length=32), nullable=True),
        sa.Column("cab_recommendation", sa.Text(), nullable=True),
        sa.Column("on_hold", sa.Boolean(), nullable=True),
        sa.Column("on_hold_reason", sa.Text(), nullable=True),
        sa.Column("on_hold_task", sa.Text(), nullable=True),
        sa.Column("unauthorized", sa.Boolean(), nullable=True),
        sa.Column("production_system", sa.Boolean(), nullable=True),
        sa.Column("outside_maintenance_schedule", sa.Boolean(), nullable=True),
        sa.Column("is_bulk", sa.Boolean(), nullable=True),
        sa.Column("conflict_status", sa.String(length=40), nullable=True),
        sa.Column("conflict_last_run", sa.DateTime(timezone=True), nullable=True),
        sa.Column("std_change_producer_version", sa.String(length=32), nullable=True),
        sa.Column("ci_class", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(
            ["assigned_to"], ["sys_user.sys_id"], name=op.f("fk_task_assigned_to"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["assignment_group"], ["sys_user_group.sys_id"], name=op.f("fk_task_assignment_group"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["business_service"], ["cmdb_ci.sys_id"], name=op.f("fk_task_business_service"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["cab_delegate"], ["sys_user.sys_id"], name=op.f("fk_task_cab_delegate"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["closed_by"], ["sys_user.sys_id"], name=op.f("fk_task_closed_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["cmdb_ci"], ["cmdb_ci.sys_id"], name=op.f("fk_task_cmdb_ci"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["opened_by"], ["sys_user.sys_id"], name=op.f("fk_task_opened_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["parent"], ["task.sys_id"], name=op.f("fk_task_parent"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["sys_user.sys_id"], name=op.f("fk_task_requested_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["service_offering"], ["cmdb_ci.sys_id"], name=op.f("fk_task_service_offering"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["task_for"], ["sys_user.sys_id"], name=op.f("fk_task_task_for"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["universal_request"], ["task.sys_id"], name=op.f("fk_task_universal_request"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_task")),
        sa.UniqueConstraint("number", name=op.f("uq_task_number")),
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_task_active"), ["active"], unique=False)
        batch_op.create_index(batch_op.f("ix_task_assignment_group"), ["assignment_group"], unique=False)
        batch_op.create_index(batch_op.f("ix_task_correlation_id"), ["correlation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_task_state"), ["state"], unique=False)


def downgrade():
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_task_state"))
        batch_op.drop_index(batch_op.f("ix_task_correlation_id"))
        batch_op.drop_index(batch_op.f("ix_task_assignment_group"))
        batch_op.drop_index(batch_op.f("ix_task_active"))

    op.drop_table("task")
    with op.batch_alter_table("sys_user_grmember", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sys_user_grmember_user"))
        batch_op.drop_index(batch_op.f("ix_sys_user_grmember_group"))

    op.drop_table("sys_user_grmember")
    with op.batch_alter_table("oauth_token_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_token_event_entity_correlation_id"))

    op.drop_table("oauth_token_event")
    with op.batch_alter_table("oauth_jti", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_jti_expires_at"))

    op.drop_table("oauth_jti")
    op.drop_table("oauth_entity_scope")
    with op.batch_alter_table("oauth_credential", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oauth_credential_expires_at"))

    op.drop_table("oauth_credential")
    op.drop_table("jwks_cache")
    with op.batch_alter_table("cmdb_ci", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cmdb_ci_name"))

    op.drop_table("cmdb_ci")
    with op.batch_alter_table("sys_user_has_role", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sys_user_has_role_user"))

    op.drop_table("sys_user_has_role")
    op.drop_table("sys_user_group")
    with op.batch_alter_table("sys_api_access_scope", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sys_api_access_scope_scope"))

    op.drop_table("sys_api_access_scope")
    op.drop_table("oauth_entity")
    op.drop_table("sys_user_role")
    with op.batch_alter_table("sys_user", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sys_user_email"))

    op.drop_table("sys_user")
    op.drop_table("sys_number_counter")
    op.drop_table("sys_auth_scope")
    if has_sequences():
        op.execute(sa.schema.DropSequence(CHANGE_NUMBERS))
