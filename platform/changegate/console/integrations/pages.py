"""The two pages that contain the integration form."""

from datetime import datetime
from typing import Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import manages_integrations
from changegate.console.integrations.choices import form_choices
from changegate.console.integrations.details import list_facts
from changegate.console.integrations.form import IntegrationForm, form_of_entity
from changegate.console.integrations.tabs import DETAILS, tab_context
from changegate.console.stale_forms import stale_page
from changegate.extensions import now
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import JWT_BEARER
from changegate.models.integration_fields import FIELDS
from changegate.schemas import presets
from changegate.services.hygiene.warnings import list_warnings
from changegate.services.integrations.connection_types import has_secret
from changegate.services.integrations.integration_fields import texts_of_entity

# With those that belong to no field of the list: a row of placeholders, and the choice between two fields.
FIELD_LABELS = {name: field.label for name, field in FIELDS.items()} | {"placeholder": "Identity provider"}


def render_new_page(form: IntegrationForm, **results: Any) -> str:
    """Render the form of a new integration; `results` are the results of its buttons."""
    has_quick_setup = form.connection is TYPES[JWT_BEARER]
    context = form_context(form, None)
    return render_template("console/integration_new.html", **context, has_quick_setup=has_quick_setup, **results)


def render_record_page(entity: OAuthEntity, form: IntegrationForm | None = None, **results: Any) -> str:
    """Render a registered integration: as stored, or with a form as typed; for owners, what is stored as text."""
    if not manages_integrations():
        context = tab_context(entity, DETAILS) | {
            "facts": list_facts(entity),
            "target": {"client_id": entity.client_id},
        }
        return render_template("console/integration_details.html", **context, **results)
    return render_template(
        "console/integration_record.html",
        **tab_context(entity, DETAILS) | form_context(form or stored_form(entity), entity),
        **results,
    )


def form_context(form: IntegrationForm, entity: OAuthEntity | None) -> dict[str, Any]:
    """Return the context of the template of the form."""
    choices = form_choices(form)
    choices["cautions"] += list_warnings([entity], presets, now())[entity.client_id] if entity else []
    return {
        "form": form,
        "entity": entity,
        "target": target_of(form, entity),
        "field_labels": FIELD_LABELS | ({"run_as": "Run-as user"} if form.has("user_field") else {}),
        "has_secret": has_secret(entity) if entity else form.connection.has_secret,
        "previous_secret_until": previous_secret_until(entity) if entity else None,
        **choices,
    }


def target_of(form: IntegrationForm, entity: OAuthEntity | None) -> dict[str, str]:
    """Return the URL arguments of the form's buttons."""
    return {"client_id": entity.client_id} if entity else {"connection_type": form.connection.slug}


def previous_secret_until(entity: OAuthEntity) -> datetime | None:
    """Return when the secret from before the last rotation expires, or None if it has."""
    until = entity.previous_client_secret_expires_at
    has_one = entity.previous_client_secret_hash is not None and until is not None and until > now()
    return until if has_one and has_secret(entity) else None


def stored_form(entity: OAuthEntity) -> IntegrationForm:
    """Return the form of a stored integration."""
    return form_of_entity(entity).at(entity.record_version)


def stored_texts(entity: OAuthEntity) -> dict[str, str]:
    """Return the fields of an integration as text, with the fields of the form as the form shows them."""
    return texts_of_entity(entity) | stored_form(entity).texts()


def stale_integration(entity: OAuthEntity) -> ResponseReturnValue | None:
    """Return the page that asks for confirmation if the record has changed since its page was opened, else None."""
    back = url_for("inbound_integrations.record_view", client_id=entity.client_id)
    return stale_page(entity, entity.name, stored_texts(entity), back)
