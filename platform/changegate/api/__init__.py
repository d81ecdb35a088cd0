"""The APIs in JSON and XML: one blueprint for each API, one error envelope for each kind of client."""

from flask import Flask

from changegate.api import (
    attachment,
    batch,
    change,
    health,
    hygiene,
    integrations,
    introspection,
    metadata,
    oauth,
    openapi,
    revocation,
    scopes,
    stats,
    table,
    tinyurl,
    token_keys,
)
from changegate.api.cors import register_cors
from changegate.api.hsts import register_hsts
from changegate.api.openapi.document import load_document
from changegate.api.whole_body import require_whole_body
from changegate.config import Settings
from changegate.extensions import OPENAPI_DOCUMENT

VERSIONS = ("", "/v1", "/v2")
CHANGE_VERSIONS = ("", "/v1")
# Key of the function that returns the OpenAPI document. The console reads it there, as it must not import this package.


def register(app: Flask) -> None:
    """Register every API; those of records under their versioned and unversioned paths."""
    settings: Settings = app.config["SETTINGS"]
    # Refuse a path with two slashes. A redirect would be an HTML page, and few clients would resend their body.
    app.url_map.merge_slashes = False
    app.before_request(require_whole_body)
    register_cors(app, settings)
    register_hsts(app, settings)
    app.extensions[OPENAPI_DOCUMENT] = load_document
    for version in VERSIONS:
        prefix, suffix = f"/api/now{version}", version.replace("/", "_")
        app.register_blueprint(table.bp, url_prefix=f"{prefix}/table", name=f"table{suffix}")
        app.register_blueprint(attachment.bp, url_prefix=f"{prefix}/attachment", name=f"attachment{suffix}")
        app.register_blueprint(batch.bp, url_prefix=prefix, name=f"batch{suffix}")
        app.register_blueprint(stats.bp, url_prefix=f"{prefix}/stats", name=f"stats{suffix}")
        app.register_blueprint(tinyurl.bp, url_prefix=prefix, name=f"tinyurl{suffix}")
        app.register_blueprint(openapi.bp, url_prefix=prefix, name=f"openapi{suffix}")
    for version in CHANGE_VERSIONS:
        name = f"change{version.replace('/', '_')}"
        app.register_blueprint(change.bp, url_prefix=f"/api/sn_chg_rest{version}", name=name)
    app.register_blueprint(oauth.bp)
    app.register_blueprint(token_keys.bp)
    app.register_blueprint(revocation.bp)
    app.register_blueprint(introspection.bp)
    app.register_blueprint(metadata.bp)
    app.register_blueprint(integrations.bp)
    app.register_blueprint(scopes.bp)
    app.register_blueprint(hygiene.bp)
    app.register_blueprint(health.bp)
