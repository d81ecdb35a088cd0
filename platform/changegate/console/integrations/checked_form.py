"""The form with all its errors at once: those of the schema, and those that only the stored records show."""

from typing import Any

from changegate.console.integrations.form import IntegrationForm
from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.services.integrations.saving import find_refusals


def load_checked(form: IntegrationForm, entity: OAuthEntity | None = None) -> dict[str, Any]:
    """Return validated fields; raises `InputInvalid` for errors of the schema, along with those of the other fields."""
    try:
        return form.load(entity)
    except InputInvalid as problem:
        others = {name: value for name, value in form.entered().items() if name not in problem.fields}
        raise InputInvalid({**problem.fields, **find_refusals(others, entity)}) from None
