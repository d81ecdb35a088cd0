"""OpenAPI paths of security findings and the overview."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.integrations import ADMIN_PREFIX
from changegate.api.openapi.answers import answer, errors
from changegate.api.openapi.integrations import BASIC, ROLES, TAG
from changegate.api.openapi.parameters import name_of
from changegate.api.openapi.records import result_of
from changegate.api.openapi.values import ref
from changegate.schemas.hygiene import AssessmentSchema, OverviewSchema

Operation = dict[str, Any]


def add_hygiene_schemas(spec: APISpec) -> None:
    """Add the schemas of findings and of the overview, including nested ones."""
    for schema in (AssessmentSchema, OverviewSchema):
        spec.components.schema(name_of(schema), schema=schema)


def hygiene_paths() -> Mapping[str, dict[str, Operation]]:
    """Return the paths of findings and the overview."""
    return {
        f"{ADMIN_PREFIX}/findings": {
            "get": _operation("list_findings", "Get the security score and the findings", "Assessment")
        },
        f"{ADMIN_PREFIX}/overview": {
            "get": _operation("get_overview", "Get machine identities and exchanges over time", "Overview")
        },
    }


def _operation(name: str, summary: str, schema: str) -> Operation:
    return {
        "tags": [TAG],
        "operationId": name,
        "summary": summary,
        "description": ROLES,
        "security": BASIC,
        "responses": {"200": answer("As it is now.", result_of(ref(schema)), has_xml=False), **errors()},
    }
