"""The page *Run this*: the snippets of an integration, and what its clients have achieved."""

from typing import Any

from flask import render_template

from changegate.console.guards import caller
from changegate.console.integrations.tabs import RUN, tab_context
from changegate.errors import AccessRefused, RecordNotFound
from changegate.extensions import settings
from changegate.models import OAuthEntity
from changegate.schemas.claim_condition_text import render_condition_text
from changegate.schemas.presets import find_by_issuer
from changegate.services.integrations.run_status import RunStatus, find_run_status
from changegate.services.integrations.snippets import SnippetContext, list_snippets
from changegate.services.oauth.events import advice_of, report_of
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import read_record
from changegate.services.tables.registry import get_table


def render_run_page(entity: OAuthEntity, name: str) -> str:
    """Render the page with the snippet of a name, the best fitting one by default."""
    target = _target(entity)
    snippets = list_snippets(target)
    chosen = next((snippet for snippet in snippets if snippet.name == name), snippets[0])
    return render_template(
        "console/integration_run.html",
        **tab_context(entity, RUN),
        target=target,
        conditions=[render_condition_text(condition) for condition in target.claim_conditions],
        snippets=snippets,
        chosen=chosen,
        **_status_context(entity),
    )


def render_run_status(entity: OAuthEntity) -> str:
    """Render the status alone, which the script of the page asks for."""
    return render_template("console/_run_status.html", entity=entity, **_status_context(entity))


def _status_context(entity: OAuthEntity) -> dict[str, Any]:
    status = find_run_status(entity.sys_id)
    refused = status.refused
    return {
        "status": status,
        "change": _read_change(status),
        "rules": report_of(refused) if refused else [],
        "advice": advice_of(refused) if refused else [],
    }


def _read_change(status: RunStatus) -> WireRecord | None:
    """Return the change if the user may see it, else None."""
    if status.change is None:
        return None
    shape = Shape(settings().base_url, DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", "number"))
    try:
        return read_record(get_table("change_request"), caller(), status.change, shape)
    except (AccessRefused, RecordNotFound):
        return None


def _target(entity: OAuthEntity) -> SnippetContext:
    recognized = find_by_issuer(entity.issuer)
    return SnippetContext(
        client_id=entity.client_id,
        is_public=entity.public_client,
        audience=entity.audiences[0] if entity.audiences else entity.client_id,
        issuer=entity.issuer,
        base_url=settings().base_url,
        preset=entity.preset or (recognized.name if recognized else None),
        connection_type=entity.type,
        gives_refresh_tokens=entity.issue_refresh_tokens,
        claim_conditions=entity.claim_conditions or (),
    )
