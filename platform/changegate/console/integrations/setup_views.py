"""The quick setup of a JWT bearer integration: one box, then a draft with three questions.

box ──recognize──> draft ──save──> integration
└──keep──> list of integrations ──> draft
"""

from dataclasses import replace

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.integrations.pages import render_new_page
from changegate.console.integrations.setup_check import digest_of, find_cautions, find_errors, with_schema_errors
from changegate.console.integrations.setup_form import CREATED, SetupForm
from changegate.console.integrations.setup_pages import form_of_setup, render_box, render_draft
from changegate.database import commit, rollback
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import now
from changegate.models import IntegrationDraft
from changegate.schemas import presets
from changegate.schemas.integration_input import load_integration
from changegate.services.hygiene.warnings import warn_of_saved
from changegate.services.integrations.authority import require_authority
from changegate.services.integrations.drafts import (
    change_draft,
    content_of,
    discard_draft,
    get_draft,
    lock_draft,
    start_draft,
)
from changegate.services.integrations.recognition import KeyTest, recognize_pasted, test_url
from changegate.services.integrations.run_as import create_account, may_create_accounts
from changegate.services.integrations.saving import register_integration
from changegate.services.keys.key_store import key_store
from changegate.unproxied import current_request

# Kinds whose text is shown again if it leads nowhere; others may be secret.
SHOWN_AGAIN = frozenset({"issuer", "jwks_url", "discovery_url"})
bp = Blueprint("quick_setup", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.post("/new/jwt-bearer/recognize")
def recognize_view() -> ResponseReturnValue:
    """Recognize the pasted text, and start a draft if it leads to an integration."""
    may_create = may_create_accounts(caller())
    _end_transaction()
    text = current_request().form.get("pasted", "")
    found = recognize_pasted(text, key_store(), presets)
    if not found.is_usable:
        return render_box(found, text.strip() if found.kind in SHOWN_AGAIN else ""), 400
    form = SetupForm.proposed(found, may_create_account=may_create)
    try:
        draft = start_draft(caller().sys_id, form.content())
    except InputInvalid as problem:
        rollback()
        return render_box(replace(found, problems=(problem.message,))), 400
    commit()
    return redirect(url_for("quick_setup.draft_view", draft_id=draft.sys_id), 303)


@bp.get("/drafts/<draft_id>")
def draft_view(draft_id: str) -> str:
    """Show a draft; raises `RecordNotFound`."""
    draft = _get_draft(draft_id)
    return render_draft(draft, _form_of(draft))


@bp.post("/drafts/<draft_id>")
def save_view(draft_id: str) -> ResponseReturnValue:
    """Test the keys again, and save the integration; raises `RecordNotFound`."""
    sent = current_request()
    form = _read_form(draft_id)
    keys = _test_keys(form)
    try:
        draft = _lock_draft(draft_id)
    except RecordNotFound:
        # Saved by the first click of two, or discarded in another tab.
        flash("The draft was saved or discarded meanwhile.")
        return redirect(url_for("inbound_integrations.list_view"), 303)
    if keys is not None:
        form = replace(form, recognition=replace(form.recognition, keys=keys))
    form = replace(form, errors={**find_errors(form), **form.errors}, is_refused=True)
    form = replace(form, cautions=() if form.errors else find_cautions(form, keys))
    if form.errors or (form.cautions and sent.form.get("confirmed") != digest_of(form.cautions)):
        return _kept_form(draft, form)
    return _save(draft, form)


@bp.post("/drafts/<draft_id>/keep")
def keep_view(draft_id: str) -> ResponseReturnValue:
    """Keep the answers for later; raises `RecordNotFound`."""
    sent = current_request()
    form = _read_form(draft_id)
    draft = _lock_draft(draft_id)
    if form.errors:
        return _kept_form(draft, form)
    try:
        change_draft(draft, form.content())
    except InputInvalid as problem:
        rollback()
        form = replace(form, errors=problem.fields, is_refused=True)
        return render_draft(_get_draft(draft_id), form), problem.status
    commit()
    if sent.form.get("step") == "full":
        return redirect(url_for("quick_setup.full_form_view", draft_id=draft_id), 303)
    flash("Your entries are kept for a week.")
    return redirect(url_for("inbound_integrations.list_view"), 303)


@bp.post("/drafts/<draft_id>/recognize")
def recognize_again_view(draft_id: str) -> ResponseReturnValue:
    """Recognize an entered issuer and pasted keys, and keep the answers; raises `RecordNotFound`."""
    form = _read_form(draft_id)
    return _kept_form(_lock_draft(draft_id), form)


@bp.post("/drafts/<draft_id>/edit")
def edit_view(draft_id: str) -> str:
    """Show a draft with answers that are not stored yet; raises `RecordNotFound`."""
    draft = _get_draft(draft_id)
    return render_draft(draft, _form_of(draft).answered(current_request().form))


@bp.post("/drafts/<draft_id>/discard")
def discard_view(draft_id: str) -> ResponseReturnValue:
    """Delete a draft; raises `RecordNotFound`."""
    discard_draft(_lock_draft(draft_id))
    commit()
    flash("The draft is discarded.")
    return redirect(url_for("inbound_integrations.list_view"), 303)


@bp.get("/drafts/<draft_id>/form")
def full_form_view(draft_id: str) -> str:
    """Show the full form with the values of a draft; raises `RecordNotFound`."""
    draft = _get_draft(draft_id)
    return render_new_page(form_of_setup(_form_of(draft), draft))


def _get_draft(draft_id: str) -> IntegrationDraft:
    return get_draft(draft_id, caller().sys_id)


def _lock_draft(draft_id: str) -> IntegrationDraft:
    user = caller().sys_id
    _end_transaction()
    return lock_draft(draft_id, user)


def _form_of(draft: IntegrationDraft) -> SetupForm:
    return SetupForm.of_content(content_of(draft))


def _read_form(draft_id: str) -> SetupForm:
    """Return the form of a draft with the answers that were sent, and with the keys in pasted text."""
    sent = current_request().form
    form = _form_of(_get_draft(draft_id)).answered(sent)
    text = sent.get("jwks", "")
    if not text.strip() and sent.get("step") != "keys":
        return form
    _end_transaction()
    return form.with_keys_of(recognize_pasted(text, key_store(), presets))


def _test_keys(form: SetupForm) -> KeyTest | None:
    """Return a fresh test of the keys, or None if they are stored with the integration and thus tested already."""
    url = form.fields().get("jwks_url")
    _end_transaction()
    if not url:
        return None
    return test_url(url, key_store())


def _kept_form(draft: IntegrationDraft, form: SetupForm) -> ResponseReturnValue:
    """Store the answers, and show them with errors or warnings."""
    draft_id = draft.sys_id
    try:
        change_draft(draft, form.content())
    except InputInvalid as problem:
        rollback()
        errors = {**form.errors, **problem.fields}
        draft, form = _get_draft(draft_id), replace(form, errors=errors, is_refused=True)
    else:
        commit()
    return render_draft(draft, form), 400 if form.errors else 200


def _save(draft: IntegrationDraft, form: SetupForm) -> ResponseReturnValue:
    draft_id = draft.sys_id
    try:
        if form.values["account"] == CREATED:
            create_account(form.run_as, caller())
        registered = register_integration(load_integration(form.fields()), by=caller().user_name)
        require_authority(registered.entity, caller())
        discard_draft(draft)
    except InputInvalid as problem:
        rollback()
        return render_draft(_get_draft(draft_id), with_schema_errors(form, problem.fields)), problem.status
    commit()
    entity = registered.entity
    flash(f"{entity.name} is registered.")
    for sentence in warn_of_saved([entity], key_store(), presets, now())[entity.client_id]:
        flash(sentence, "warning")
    return redirect(url_for("inbound_integrations.run_view", client_id=registered.entity.client_id), 303)


def _end_transaction() -> None:
    # End the transaction of the guard: none may stay open during a fetch from an identity provider.
    rollback()
