"""Scope rules for the Change Management API.

Revision: 0027, after 0026.
"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TABLE_API, CHANGE_API, ANY = "now/table", "sn_chg_rest/change", "*"
TABLES = ("change_request", "change_task", "chg_model", "sysapproval_approver", ANY)
METHODS = ("GET", "POST", "PATCH", "DELETE", ANY)
# A scope may have a rule for each version of the Table API. The Change Management API has one version, so one rule is
# copied: that for every version, or else that for paths without a version.
VERSIONS = (ANY, "v2", "v1")


def upgrade():
    """Copy the rules of the Table API for tables that the Change Management API serves.

    A token can do the same through both APIs: nothing more, and what a rule protects stays protected.
    """
    rules = rules_table()
    is_served = (rules.c.rest_api == TABLE_API, rules.c.table.in_(TABLES), rules.c.http_method.in_(METHODS))
    rows = op.get_bind().execute(sa.select(rules).where(*is_served, rules.c.version.in_(VERSIONS))).mappings().all()
    chosen = {}
    for row in sorted(rows, key=lambda row: VERSIONS.index(row["version"])):
        # An inactive rule neither allows nor protects, so it must not take the place of an active one.
        key = (row["scope"], row["http_method"], row["table"])
        if key not in chosen or (row["active"] and not chosen[key]["active"]):
            chosen[key] = row
    for row in chosen.values():
        copy = {**row, "sys_id": uuid.uuid4().hex, "rest_api": CHANGE_API, "version": ANY}
        op.execute(sa.insert(rules).values(copy))


def downgrade():
    """Delete the rules, which the former version does not know."""
    rules = rules_table()
    op.execute(sa.delete(rules).where(rules.c.rest_api == CHANGE_API))


def rules_table():
    """Return the table with the columns that it has in this version."""
    columns = sa.inspect(op.get_bind()).get_columns("sys_api_access_scope")
    return sa.table("sys_api_access_scope", *(sa.column(column["name"]) for column in columns))
