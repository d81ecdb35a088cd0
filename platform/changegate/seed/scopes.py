"""The auth scopes of every instance."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from changegate.extensions import db
from changegate.models import SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import ANY, USERACCOUNT

ScopeRules = list[dict[str, Any]]


def _on_changes(*calls: tuple[str, str], own_records: bool = False) -> ScopeRules:
    of_changes = {"table": "change_request", "own_records": own_records}
    return [{"rest_api": api, "http_method": method, **of_changes} for api, method in calls]


CHANGE_API = "sn_chg_rest/change"
READ = (("now/table", "GET"), ("now/stats", "GET"), (CHANGE_API, "GET"))
UPDATE = (("now/table", "PATCH"), ("now/table", "PUT"), (CHANGE_API, "PATCH"))
APPROVALS, TEMPLATES = "sysapproval_approver", "std_change_record_producer"
_ANSWER = {"table": APPROVALS, "writable_fields": "comments,state"}
# Description and rules by name.
SCOPES: Mapping[str, tuple[str, ScopeRules]] = {
    "change_request.create": (
        "Create change requests, and nothing else",
        _on_changes(("now/table", "POST"), (CHANGE_API, "POST")),
    ),
    "change_request.create_standard": (
        "Create change requests from the standard change templates that are bound to the integration",
        [{"rest_api": CHANGE_API, "http_method": method, "table": TEMPLATES} for method in ("GET", "POST")],
    ),
    "change_request.read_own": (
        "Read and count the change requests that the integration created, and no others",
        _on_changes(*READ, own_records=True),
    ),
    "change_request.update_own": (
        "Update the change requests that the integration created, in every field that its user may write",
        _on_changes(*UPDATE, own_records=True),
    ),
    "change_request.read": (
        "Read and count all change requests that its user may read, with the list of their attachments and the files",
        _on_changes(*READ, ("now/attachment", "GET")),
    ),
    "approval.answer": (
        "Answer the approvals that its user is asked for, if a claim names the user",
        [
            *({"rest_api": "now/table", "http_method": method, **_ANSWER} for method in ("PATCH", "PUT")),
            *({"rest_api": CHANGE_API, "http_method": method, "table": APPROVALS} for method in ("PATCH", "POST")),
        ],
    ),
    "token.introspect": (
        "Introspect any access token, as a resource server does",
        [{"rest_api": "oauth/introspect", "http_method": "POST", "table": ANY}],
    ),
    "useraccount": ("Everything that its user may do, through every API; no rule narrows it", []),
}
SYS_IDS = {"useraccount": USERACCOUNT}


def seed_scopes() -> None:
    """Add missing scopes; existing scopes keep the changes of administrators.

    A scope of the same name but another sys_id is not replaced, and does not get the meaning of ours.
    """
    known = set(db.session.execute(select(SysAuthScope.name)).scalars())
    known_ids = set(db.session.execute(select(SysAuthScope.sys_id)).scalars())
    for name, (description, rules) in SCOPES.items():
        if name not in known and SYS_IDS.get(name) not in known_ids:
            db.session.add(_scope(name, description, rules))
    db.session.flush()


def _scope(name: str, description: str, rules: Iterable[Mapping[str, Any]]) -> SysAuthScope:
    scope = SysAuthScope(name=name, description=description, rules=[SysApiAccessScope(**rule) for rule in rules])
    if name in SYS_IDS:
        scope.sys_id = SYS_IDS[name]
    return scope
