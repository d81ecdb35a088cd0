"""JSON for machines: one blueprint for each API, one error envelope for each audience."""

from flask import Flask

from changegate.api import health, oauth, table
from changegate.extensions import csrf

VERSIONS = ("", "/v1", "/v2")


def register(app: Flask) -> None:
    """Add every API; the Table API answers under its versioned and unversioned paths."""
    csrf.exempt(table.bp)
    for version in VERSIONS:
        app.register_blueprint(
            table.bp, url_prefix=f"/api/now{version}/table", name=f"table{version.replace('/', '_')}"
        )
    app.register_blueprint(oauth.bp)
    app.register_blueprint(health.bp)
