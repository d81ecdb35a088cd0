"""The console in HTML: one blueprint for each area."""

from flask import Flask

from changegate.console import (
    api_explorer,
    assets,
    auth_scopes,
    deep_links,
    home,
    identity_providers,
    machine_identities,
    machine_identity,
    manage_tokens,
    my_work,
    notifications,
    preferences,
    security_findings,
    sign_in,
    sign_on_links,
    single_sign_on,
    token_events,
)
from changegate.console.approvals import delegations, my_approvals
from changegate.console.approvals import views as approval_views
from changegate.console.calendar import views as calendar_views
from changegate.console.changes import files, forms, requests, task_page
from changegate.console.changes import views as change_views
from changegate.console.dashboard import views as dashboard_views
from changegate.console.guards import manages_integrations, protect_forms
from changegate.console.integrations import fragments, keys, record_tabs, setup_views, views
from changegate.console.local_times import format_moment, local, time_zone
from changegate.console.navigator import list_groups
from changegate.console.page_headers import add_page_headers
from changegate.console.people import access, assignments, forgotten, invitations, links, panels, roles
from changegate.console.people import views as people_views
from changegate.console.records import list_views, record_views
from changegate.console.records.extensions import EXTENSIONS
from changegate.models.sign_on import PROVIDERS

AREAS = (
    sign_in,
    single_sign_on,
    home,
    my_work,
    views,
    fragments,
    keys,
    record_tabs,
    setup_views,
    token_events,
    auth_scopes,
    manage_tokens,
    machine_identity,
    machine_identities,
    security_findings,
    change_views,
    forms,
    files,
    requests,
    approval_views,
    my_approvals,
    delegations,
    notifications,
    calendar_views,
    dashboard_views,
    list_views,
    record_views,
    links,
    forgotten,
    invitations,
    access,
    roles,
    assignments,
    people_views,
    deep_links,
    api_explorer,
    preferences,
    sign_on_links,
    identity_providers,
)
for area in AREAS:
    area.bp.after_request(add_page_headers)
calendar_views.feed_bp.after_request(add_page_headers)


def register(app: Flask) -> None:
    """Register every area of the console, and the globals of its templates."""
    # On the application, so that it covers every form.
    app.before_request(protect_forms)
    app.url_map.converters["served_table"] = deep_links.ServedTable
    app.register_blueprint(assets.bp)
    app.register_blueprint(calendar_views.feed_bp)
    for area in AREAS:
        app.register_blueprint(area.bp)
    app.jinja_env.filters["local"] = local
    app.jinja_env.filters["moment"] = format_moment
    app.jinja_env.globals["time_zone"] = time_zone
    app.jinja_env.globals["manages_integrations"] = manages_integrations
    EXTENSIONS.update({**panels.EXTENDED, PROVIDERS: identity_providers.PAGE, "change_task": task_page.PAGE})
    app.context_processor(lambda: {"navigator_groups": list_groups})
