"""Every endpoint there is and whom it answers; one that is missing here fails the guards."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from flask import Flask


class Audience(Enum):
    """Who may call an endpoint, and so the answer to an unauthenticated caller."""

    ANYONE = "an answer"
    CALLERS = "401 with JSON"
    PEOPLE = "the login page"
    INTEGRATION_ADMINISTRATORS = "the login page, and 403 after it"
    INTEGRATION_OWNERS = "the login page, and 404 after it: what the path names is not theirs"
    INTEGRATION_ADMINISTRATORS_BY_API = "401 with JSON, and 403 to other users and to every access token"


TABLE_API = {
    f"{method} /api/now{version}/table/<table_name>{record}": Audience.CALLERS
    for version in ("", "/v1", "/v2")
    for record, methods in (("", ("GET", "POST")), ("/<sys_id>", ("GET", "PUT", "PATCH", "DELETE")))
    for method in methods
}
BESIDE_TABLES = {
    call: Audience.CALLERS
    for version in ("", "/v1", "/v2")
    for call in (
        f"POST /api/now{version}/batch",
        f"POST /api/now{version}/tinyurl",
        f"GET /api/now{version}/openapi.json",
    )
}
CHANGE_API = {
    call.replace("/", f"/api/sn_chg_rest{version}/", 1): Audience.CALLERS
    for version in ("", "/v1")
    for call in (
        "GET /change",
        "POST /change",
        "GET /change/normal",
        "POST /change/normal",
        "GET /change/emergency",
        "POST /change/emergency",
        "GET /change/standard",
        *(
            f"{method} /change{kind}/<sys_id>"
            for kind in ("", "/normal", "/emergency", "/standard")
            for method in ("GET", "PATCH", "DELETE")
        ),
        *(f"PATCH /change{kind}/<sys_id>/risk" for kind in ("", "/normal", "/emergency", "/standard")),
        "POST /change/standard/<sys_id>",
        "GET /change/standard/template",
        "GET /change/standard/template/<sys_id>",
        "GET /change/model",
        "GET /change/model/<sys_id>",
        "GET /change/<sys_id>/nextstates",
        "GET /change/<sys_id>/blockers",
        "PATCH /change/<sys_id>/approvals",
        "POST /change/<sys_id>/approvals",
        "GET /change/<sys_id>/ci",
        "POST /change/<sys_id>/ci",
        "POST /change/<sys_id>/refresh_impacted_services",
        *(f"{method} /change/<sys_id>/conflict" for method in ("GET", "POST", "DELETE")),
        "GET /change/<sys_id>/schedule",
        "GET /change/ci/<sys_id>/schedule",
        "PATCH /change/<sys_id>/schedule/first_available",
        "GET /change/worker/<sys_id>",
        "GET /windows",
        "GET /change/<sys_id>/task",
        "POST /change/<sys_id>/task",
        "PATCH /change/<sys_id>/task/<task_sys_id>",
        "DELETE /change/<sys_id>/task/<task_sys_id>",
    )
}
AGGREGATE_API = {f"GET /api/now{version}/stats/<table_name>": Audience.CALLERS for version in ("", "/v1", "/v2")}
ATTACHMENT_API = {
    call.replace("/", f"/api/now{version}/", 1): Audience.CALLERS
    for version in ("", "/v1", "/v2")
    for call in (
        "GET /attachment",
        "POST /attachment/file",
        "POST /attachment/upload",
        "GET /attachment/<sys_id>",
        "PATCH /attachment/<sys_id>",
        "DELETE /attachment/<sys_id>",
        "GET /attachment/<sys_id>/file",
    )
}
ADMIN_API = {
    call.replace("/", "/api/now/oauth/", 1): Audience.INTEGRATION_ADMINISTRATORS_BY_API
    for call in (
        "GET /events",
        "GET /findings",
        "GET /overview",
        "GET /integrations",
        "POST /integrations",
        "GET /integrations/<client_id>",
        "PUT /integrations/<client_id>",
        "PATCH /integrations/<client_id>",
        "DELETE /integrations/<client_id>",
        "POST /integrations/<client_id>/rotate-secret",
        "POST /integrations/<client_id>/enable",
        "POST /integrations/<client_id>/disable",
        "GET /integrations/<client_id>/keys",
        "POST /integrations/<client_id>/refresh-keys",
        "POST /integrations/<client_id>/keys/<thumbprint>/block",
        "POST /integrations/<client_id>/keys/<thumbprint>/unblock",
        "POST /integrations/<client_id>/try",
        "GET /scopes",
        "POST /scopes",
        "GET /scopes/<name>",
        "PUT /scopes/<name>",
        "PATCH /scopes/<name>",
        "DELETE /scopes/<name>",
    )
}
AUDIENCES = (
    TABLE_API
    | ADMIN_API
    | AGGREGATE_API
    | CHANGE_API
    | ATTACHMENT_API
    | BESIDE_TABLES
    | {
        "GET /healthz": Audience.ANYONE,
        "GET /readyz": Audience.ANYONE,
        "POST /oauth_token.do": Audience.ANYONE,
        "POST /oauth/token": Audience.ANYONE,
        "GET /api/now/oauth/jwks": Audience.ANYONE,
        "POST /oauth/revoke": Audience.ANYONE,
        "GET /oauth_revoke_token.do": Audience.ANYONE,
        "POST /oauth_revoke_token.do": Audience.ANYONE,
        "GET /oauth_revoke.do": Audience.ANYONE,
        "POST /oauth_revoke.do": Audience.ANYONE,
        "POST /oauth/introspect": Audience.ANYONE,
        "GET /.well-known/oauth-authorization-server": Audience.ANYONE,
        "GET /.well-known/oauth-authorization-server/<path:described>": Audience.ANYONE,
        "GET /.well-known/oauth-protected-resource": Audience.ANYONE,
        "GET /.well-known/oauth-protected-resource/<path:described>": Audience.ANYONE,
        "GET /static/<filename>": Audience.ANYONE,
        "GET /login": Audience.ANYONE,
        "POST /login": Audience.ANYONE,
        "POST /single-sign-on/<alias>": Audience.ANYONE,
        "GET /single-sign-on/<alias>/callback": Audience.ANYONE,
        "POST /logout": Audience.ANYONE,
        "POST /logout/everywhere": Audience.ANYONE,
        "GET /": Audience.PEOPLE,
        # The secret in the address says whose link it is.
        "GET /account-links/<token>": Audience.ANYONE,
        "POST /account-links/<token>": Audience.ANYONE,
        "GET /forgotten-password": Audience.ANYONE,
        "POST /forgotten-password": Audience.ANYONE,
        "GET /roles": Audience.PEOPLE,
        "GET /people/<sys_id>/access": Audience.PEOPLE,
        "GET /people/invite": Audience.PEOPLE,
        "POST /people/invite": Audience.PEOPLE,
        "POST /people/invite/edit": Audience.PEOPLE,
        "POST /people/<sys_id>/step": Audience.PEOPLE,
        "POST /people/<sys_id>/link": Audience.PEOPLE,
        "POST /people/<sys_id>/sign-out": Audience.PEOPLE,
        "POST /assignments/<table_name>/<sys_id>/<assigned>": Audience.PEOPLE,
        "POST /assignments/<table_name>/<sys_id>/<assigned>/<assignment_id>/remove": Audience.PEOPLE,
        "GET /preferences": Audience.PEOPLE,
        "POST /preferences/email": Audience.PEOPLE,
        "POST /preferences": Audience.PEOPLE,
        "POST /preferences/edit": Audience.PEOPLE,
        "POST /preferences/password": Audience.PEOPLE,
        "GET /preferences/single-sign-on": Audience.PEOPLE,
        "POST /preferences/single-sign-on": Audience.PEOPLE,
        "POST /identity-providers/<alias>/check": Audience.PEOPLE,
        "POST /preferences/sessions/<token_hash>/end": Audience.PEOPLE,
        "GET /change-requests": Audience.PEOPLE,
        "GET /<served_table:name>.do": Audience.PEOPLE,
        "GET /<served_table:name>_list.do": Audience.PEOPLE,
        "GET /records/<table_name>": Audience.PEOPLE,
        "GET /records/<table_name>/<sys_id>": Audience.PEOPLE,
        "GET /records/<table_name>/export/<file_format>": Audience.PEOPLE,
        "GET /records/<table_name>/new": Audience.PEOPLE,
        "GET /records/<table_name>/suggestions": Audience.PEOPLE,
        "POST /records/<table_name>/<sys_id>": Audience.PEOPLE,
        "POST /records/<table_name>/<sys_id>/delete": Audience.PEOPLE,
        "POST /records/<table_name>/<sys_id>/edit": Audience.PEOPLE,
        "POST /records/<table_name>/columns": Audience.PEOPLE,
        "POST /records/<table_name>/filter": Audience.PEOPLE,
        "POST /records/<table_name>/new": Audience.PEOPLE,
        "POST /records/<table_name>/new/edit": Audience.PEOPLE,
        "POST /records/<table_name>/saved-filters": Audience.PEOPLE,
        "POST /records/<table_name>/saved-filters/<sys_id>/delete": Audience.PEOPLE,
        "POST /records/<table_name>/update": Audience.PEOPLE,
        "GET /nav_to.do": Audience.PEOPLE,
        "GET /change-requests/<sys_id>": Audience.PEOPLE,
        "GET /change-requests/<sys_id>/edit": Audience.PEOPLE,
        "GET /change-requests/<sys_id>/files/<attachment_id>": Audience.PEOPLE,
        "GET /change-requests/new": Audience.PEOPLE,
        "GET /approvals/<sys_id>": Audience.PEOPLE,
        "POST /approvals/<sys_id>/answer": Audience.PEOPLE,
        "GET /request-a-change": Audience.PEOPLE,
        "GET /request-a-change/<template_id>": Audience.PEOPLE,
        "POST /request-a-change/<template_id>": Audience.PEOPLE,
        "POST /request-a-change/<template_id>/edit": Audience.PEOPLE,
        "GET /delegations": Audience.PEOPLE,
        "GET /delegations/new": Audience.PEOPLE,
        "POST /delegations/new": Audience.PEOPLE,
        "POST /delegations/new/edit": Audience.PEOPLE,
        "POST /delegations/<sys_id>/end": Audience.PEOPLE,
        "GET /my-approvals": Audience.PEOPLE,
        "GET /my-work": Audience.PEOPLE,
        "GET /calendar": Audience.PEOPLE,
        "GET /dashboard": Audience.PEOPLE,
        "POST /calendar/feeds": Audience.PEOPLE,
        "POST /calendar/feeds/<token_hash>/revoke": Audience.PEOPLE,
        # The secret in the address says whose feed it is.
        "GET /calendar/feeds/<token>.ics": Audience.ANYONE,
        "POST /change-requests/<sys_id>/comment": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/items": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/edit": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/files": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/files/<attachment_id>/delete": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/form": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/move": Audience.PEOPLE,
        "POST /change-requests/new": Audience.PEOPLE,
        "POST /change-requests/new/edit": Audience.PEOPLE,
        "POST /change-requests/new/plan": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/plan": Audience.PEOPLE,
        "POST /my-approvals": Audience.PEOPLE,
        "GET /notifications": Audience.PEOPLE,
        "POST /notifications/read": Audience.PEOPLE,
        "POST /change-requests/<sys_id>/watch": Audience.PEOPLE,
        "POST /notifications/<sys_id>/read": Audience.PEOPLE,
        "GET /preferences/notifications": Audience.PEOPLE,
        "POST /preferences/notifications": Audience.PEOPLE,
        "GET /rest-api-explorer": Audience.PEOPLE,
        "GET /rest-api-explorer/openapi.json": Audience.PEOPLE,
        "GET /inbound-integrations": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/new": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/new/<connection_type>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/<connection_type>": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/new/<connection_type>/form": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/jwt-bearer/recognize": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/drafts/<draft_id>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/drafts/<draft_id>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/drafts/<draft_id>/recognize": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/drafts/<draft_id>/keep": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/drafts/<draft_id>/edit": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/drafts/<draft_id>/discard": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/drafts/<draft_id>/form": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/<connection_type>/test-connection": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/<client_id>": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/by-sys-id/<sys_id>": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/<client_id>/keys": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/<client_id>/events": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/<client_id>/history": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/<client_id>/delete": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/delete": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/<client_id>/run": Audience.INTEGRATION_OWNERS,
        "GET /inbound-integrations/<client_id>/run/status": Audience.INTEGRATION_OWNERS,
        "POST /inbound-integrations/<client_id>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/enable": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/disable": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/rotate-secret": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/test-connection": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/<connection_type>/check-conditions": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/<connection_type>/try-token": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/new/<connection_type>/edit": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/check-conditions": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/try-token": Audience.INTEGRATION_OWNERS,
        "POST /inbound-integrations/<client_id>/edit": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/refresh-keys": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/block-key": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /inbound-integrations/<client_id>/unblock-key": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/events": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /inbound-integrations/events/<correlation_id>": Audience.INTEGRATION_OWNERS,
        "POST /inbound-integrations/events/<correlation_id>/constrain": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /auth-scopes": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /auth-scopes/new": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /auth-scopes/new": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /auth-scopes/new/edit": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /auth-scopes/<sys_id>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /auth-scopes/<sys_id>": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /auth-scopes/<sys_id>/edit": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /auth-scopes/<sys_id>/delete": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /tokens": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /tokens/refresh-tokens": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /tokens/<correlation_id>/revoke": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /tokens/refresh-tokens/<correlation_id>/revoke": Audience.INTEGRATION_ADMINISTRATORS,
        "POST /tokens/integrations/<client_id>/revoke": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /machine-identity": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /machine-identity/identities": Audience.INTEGRATION_ADMINISTRATORS,
        "GET /machine-identity/findings": Audience.INTEGRATION_ADMINISTRATORS,
    }
)
IMPLIED_METHODS = {"HEAD", "OPTIONS"}
EXAMPLES = {
    "table_name": "change_request",
    "sys_id": "0" * 32,
    "template_id": "0" * 32,
    "task_sys_id": "0" * 32,
    "assigned": "sys_user_grmember",
    "assignment_id": "0" * 32,
    "connection_type": "client-credentials",
    "client_id": "0" * 32,
    "draft_id": "0" * 32,
    "correlation_id": "0" * 32,
    "thumbprint": "0" * 43,
    "filename": "console.css",
    "name": "nothing.of.this.name",
    "described": "api/now",
    "attachment_id": "0" * 32,
    "token": "x" * 43,
    "alias": "demo",
    "token_hash": "0" * 64,
    "file_format": "csv",
    "served_table:name": "change_request",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MACHINES = ("/api/", "/oauth", "/healthz", "/readyz", "/.well-known/")


@dataclass(frozen=True)
class Endpoint:
    """One method of one rule."""

    method: str
    rule: str
    blueprint: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"

    @property
    def path(self) -> str:
        path = self.rule.replace("<path:", "<")
        for name, value in EXAMPLES.items():
            path = path.replace(f"<{name}>", value)
        assert "<" not in path, f"give an example for {self.rule}"
        return path


def list_endpoints(app: Flask) -> Iterator[Endpoint]:
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        for method in sorted((rule.methods or set()) - IMPLIED_METHODS):
            yield Endpoint(method, rule.rule, blueprint)
