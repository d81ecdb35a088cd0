"""The OpenAPI document, built from the catalog, the active choices, and the schemas of requests."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import orjson
from apispec import APISpec

from changegate.api.openapi.answers import ERROR, OAUTH_ERROR, error_components
from changegate.api.openapi.attachments import METADATA, attachment_paths
from changegate.api.openapi.attachments import TAG as ATTACHMENTS
from changegate.api.openapi.change_operations import TAG as CHANGES
from changegate.api.openapi.change_schemas import CHANGE_SCHEMAS
from changegate.api.openapi.changes import change_paths
from changegate.api.openapi.hygiene import add_hygiene_schemas, hygiene_paths
from changegate.api.openapi.integrations import TAG as INTEGRATIONS
from changegate.api.openapi.integrations import add_integration_schemas, integration_paths
from changegate.api.openapi.others import (
    ABOUT,
    BATCH,
    TINY_URLS,
    add_batch_schemas,
    batch_path,
    document_path,
    health_paths,
    tiny_url_path,
)
from changegate.api.openapi.parameters import VERSION, Plugin, add_parameters
from changegate.api.openapi.records import record_schemas
from changegate.api.openapi.scopes import add_scope_schemas, scope_paths
from changegate.api.openapi.tables import FIGURES, GROUP, STATISTICS, TOTALS, stats_path, table_paths
from changegate.api.openapi.token_services import INTROSPECTION, TOKEN_REFERENCE, token_service_paths
from changegate.api.openapi.tokens import KEY_SET, TOKEN, key_set_path, token_paths, token_request
from changegate.api.openapi.tokens import TAG as TOKENS
from changegate.api.openapi.values import VALUES
from changegate.services.catalog import TABLES
from changegate.services.tables.choices import find_choices

# The choices of all tables as a hashable key of the cache: table, field, value, label.
Choices = tuple[tuple[str, str, str, str], ...]
TITLE = "Changegate"
DESCRIPTION = """\
Change requests and related records, with ServiceNow's Table API and Change Management API.

**Versions.** Each path under `/api/now` also exists under `/api/now/v1` and `/api/now/v2`. The only difference: under
`v1`, an empty list is a 404. Each path under `/api/sn_chg_rest` also exists under `/api/sn_chg_rest/v1`.

**Authentication.** People and machine accounts use Basic. Automation uses an access token, which the token endpoint
issues in exchange for a JWT that a trusted identity provider has signed. Roles decide what a user may do; scopes limit
what a token may do.

**Values.** The Table API returns every value as a string, and the Change Management API an object with value and
display value. A field accepts strings, numbers, booleans, and null. A list of strings
is stored as one string, separated by commas. A reference is also accepted as the object that was returned for it.

**Parameters.** Empty and invalid values in a query string count as absent. Unknown parameters that begin with
`sysparm_` are ignored. Any other parameter of a list or of statistics is a condition `field=value`.

**XML.** Callers who prefer XML to JSON get `<response><result>…</result></response>`. Records can be sent as XML, with
an element for each field. Requests with a document type are refused.

**Methods.** HEAD is GET without the body, and OPTIONS lists the methods. A GET or POST with `X-HTTP-Method-Override` is
processed as the method in the header. A method that a path does not support is a 405.
"""
ABOUT_TAGS = {
    CHANGES: "Changes and their tasks in typed values: the Change Management API.",
    STATISTICS: "Counts, averages, sums, minimums, and maximums of records.",
    ATTACHMENTS: "Files attached to records.",
    BATCH: "Several requests in one.",
    TINY_URLS: "Short tokens for long queries.",
    TOKENS: "Access tokens: issue, revoke, introspect, and verify.",
    INTEGRATIONS: "Inbound integrations, their keys, auth scopes, and events.",
    ABOUT: "This document, and health checks.",
}
SECURITY: Mapping[str, dict[str, str]] = {
    "basic": {"type": "http", "scheme": "basic", "description": "A user's name and password."},
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token from the token endpoint, or an ID token of a trusted identity provider.",
    },
}


def load_document() -> bytes:
    """Return the document as JSON, with the choices that are currently active."""
    return _render(tuple(_list_choices()))


def _list_choices() -> Iterable[tuple[str, str, str, str]]:
    for table in TABLES.values():
        chosen = [name for name, entry in table.entries.items() if entry.choices is not None]
        for field, labels in find_choices(table.name, chosen, active_only=True).items():
            for value, label in labels.items():
                yield table.name, field, value, label


@lru_cache(maxsize=4)
def _render(choices: Choices) -> bytes:
    return orjson.dumps(build_document(choices), option=orjson.OPT_SORT_KEYS)


def build_document(choices: Choices) -> dict[str, Any]:
    """Return the document with the given choices."""
    spec = APISpec(TITLE, version("changegate"), VERSION, plugins=[Plugin()], **_facts())
    for name, scheme in SECURITY.items():
        spec.components.security_scheme(name, scheme)
    _add_schemas(spec, choices)
    add_parameters(spec)
    for name, response in error_components().items():
        spec.components.response(name, response)
    _add_paths(spec)
    document: dict[str, Any] = spec.to_dict()
    return document


def _facts() -> dict[str, Any]:
    tables = [{"name": table.name, "description": table.label} for table in TABLES.values()]
    return {
        "info": {"description": DESCRIPTION},
        "security": [{name: []} for name in SECURITY],
        "tags": [*tables, *({"name": name, "description": text} for name, text in ABOUT_TAGS.items())],
    }


def _add_schemas(spec: APISpec, choices: Choices) -> None:
    fixed = {
        "Error": ERROR,
        "OAuthError": OAUTH_ERROR,
        "File": METADATA,
        "Figures": FIGURES,
        "Group": GROUP,
        "Introspection": INTROSPECTION,
        "KeySet": KEY_SET,
        "Totals": TOTALS,
        "Token": TOKEN,
        "TokenReference": TOKEN_REFERENCE,
        "TokenRequest": token_request(),
    }
    labels = _by_table(choices)
    of_tables = (record_schemas(table, labels.get(table.name, {})) for table in TABLES.values())
    for schemas in (VALUES, CHANGE_SCHEMAS, fixed, *of_tables):
        for name, schema in schemas.items():
            spec.components.schema(name, schema)
    add_batch_schemas(spec)
    add_integration_schemas(spec)
    add_scope_schemas(spec)
    add_hygiene_schemas(spec)


def _by_table(choices: Choices) -> dict[str, dict[str, dict[str, str]]]:
    labels: dict[str, dict[str, dict[str, str]]] = {}
    for table, field, value, label in choices:
        labels.setdefault(table, {}).setdefault(field, {})[value] = label
    return labels


def _add_paths(spec: APISpec) -> None:
    tables = (table_paths(table) for table in TABLES.values())
    others = (
        change_paths(spec),
        attachment_paths(spec),
        stats_path(spec),
        batch_path(),
        tiny_url_path(),
        token_paths(),
        key_set_path(),
    )
    about_integrations = (token_service_paths(), integration_paths(spec), scope_paths(), hygiene_paths())
    for paths in (*tables, *others, *about_integrations, document_path(), health_paths()):
        for path, operations in paths.items():
            spec.path(path, operations=operations)
