"""The pages of the quick setup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template

from changegate.console.guards import caller
from changegate.console.integrations.choices import list_users
from changegate.console.integrations.claim_pins import KIND_ADVICE, KIND_LABELS, UNKNOWN
from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.setup_check import digest_of
from changegate.console.integrations.setup_form import SetupForm, condition_of
from changegate.extensions import settings
from changegate.models import IntegrationDraft
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import JWT_BEARER
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.integration_input import defaults_for
from changegate.schemas.presets import claim_kinds, find_shared
from changegate.services.assertions.condition_linter import lint_conditions
from changegate.services.integrations.recognition import SIGNED, Recognition
from changegate.services.integrations.run_as import CREATOR_ROLE, may_create_accounts

BEARER = TYPES[JWT_BEARER]
_schema = ClaimConditionSchema()


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of the first question, with what is known of the claim and what a condition on it accepts."""

    values: Mapping[str, Any]
    kind: str
    label: str
    says: str
    admits: Sequence[str] = ()
    refuses: Sequence[str] = ()


def render_box(found: Recognition | None = None, text: str = "") -> str:
    """Render the box, with what was wrong with the last text."""
    return render_template("console/integration_box.html", connection=BEARER, found=found, text=text)


def render_draft(draft: IntegrationDraft, form: SetupForm) -> str:
    """Render a draft with its form."""
    shared = find_shared(form.values["issuer"])
    return render_template(
        "console/integration_draft.html",
        connection=BEARER,
        draft=draft,
        form=form,
        found=form.recognition,
        is_signed=form.recognition.signature == SIGNED,
        rows=[_shown(row, form) for row in form.values["conditions"]],
        pins=list(dict.fromkeys(pin.claim for pin in shared.pins)) if shared else [],
        server=settings().base_url,
        users=list_users(),
        may_create_account=may_create_accounts(caller()),
        role=CREATOR_ROLE,
        confirmation=digest_of(form.cautions),
    )


def _shown(row: Mapping[str, Any], form: SetupForm) -> ShownRow:
    preset = form.preset
    note = next((note for note in preset.claims if note.name == row["claim"]), None) if preset else None
    kind = note.kind if note else UNKNOWN
    # A claim without a note, such as in a row to be filled in, has no advice.
    says = note.says if note else KIND_ADVICE[UNKNOWN] if row["is_given"] else ""
    if not row["value"].strip() or _schema.validate(condition_of(row)):
        return ShownRow(row, kind, KIND_LABELS[kind], says)
    findings = lint_conditions([_schema.load(condition_of(row))], claim_kinds(preset) if preset else {})
    [found] = findings.conditions
    return ShownRow(row, kind, KIND_LABELS[kind], says, found.admits, found.refuses)


def form_of_setup(setup: SetupForm, draft: IntegrationDraft) -> IntegrationForm:
    """Return the full form with the values of a draft."""
    form = IntegrationForm.blank(BEARER)
    preset = setup.preset
    known = {**(defaults_for(preset, BEARER.name) if preset else {}), **setup.fields()}
    values = {name: "" if value is None else value for name, value in known.items() if name in form.values}
    values["audiences"] = "\n".join(setup.audiences)
    values["claim_conditions"] = [{**condition, "report_only": False} for condition in setup.conditions]
    values["verifier_maps"] = [
        {"name": "", "kid": "", "certificate": "", "shared_key": "", "enforce_dates": True, **verifier_map}
        for verifier_map in known.get("verifier_maps", [])
    ]
    return form.changed(**values).of_draft(draft.sys_id)
