"""Steps that change the form before it is saved: add or remove a row, apply a preset, discover an issuer."""

import json
from collections.abc import Callable
from typing import Any

from changegate.console.integrations.claim_pins import pinned_row
from changegate.console.integrations.form import PLACE, PLACEHOLDER_PREFIX, IntegrationForm
from changegate.console.integrations.rows import CLAIM_CONDITIONS, ROW_KINDS
from changegate.errors import InputInvalid, JwksFetchFailed
from changegate.models.claim_condition import MAX_CLAIM_LENGTH
from changegate.schemas import presets
from changegate.schemas.integration_input import defaults_for
from changegate.schemas.presets import (
    PRESETS,
    Preset,
    fill,
    find_by_issuer,
    find_preset,
    find_shared,
    issuer_form,
    recognize,
    refuse_new_mistakes,
)
from changegate.services.integrations.recognition import recognize_pasted
from changegate.services.keys.key_store import key_store


def take_step(form: IntegrationForm, step: str) -> IntegrationForm:
    """Return the form after a step, which is a word and its argument; unknown steps change nothing."""
    word, _, rest = step.partition(" ")
    taken = _STEPS.get(word)
    # All steps change fields of an identity provider, which a form of a type without one does not have.
    return taken(form, rest) if taken and form.connection.has_provider else form


def _add(form: IntegrationForm, kind: str) -> IntegrationForm:
    if kind not in ROW_KINDS:
        return form
    rows = [*form.values[kind], ROW_KINDS[kind].blank()]
    first = next(iter(ROW_KINDS[kind].texts))
    return form.changed(**{kind: rows}).focusing(f"{kind}-{len(rows) - 1}-{first}")


def _remove(form: IntegrationForm, which: str) -> IntegrationForm:
    kind, _, place = which.partition(" ")
    if kind not in ROW_KINDS or not (place.isascii() and place.isdecimal()):
        return form
    rows = [row for number, row in enumerate(form.values[kind]) if number != int(place[:4])]
    return form.changed(**{kind: rows}).focusing(f"add-{kind}")


def _bind(form: IntegrationForm, claim: str) -> IntegrationForm:
    """Add a condition on a claim, without a value."""
    rows = [*form.values["claim_conditions"], {**CLAIM_CONDITIONS.blank(), "claim": claim[:MAX_CLAIM_LENGTH]}]
    return form.changed(claim_conditions=rows).focusing(f"claim_conditions-{len(rows) - 1}-value")


def _pin(form: IntegrationForm, text: str) -> IntegrationForm:
    """Add the condition that a claim has the value of the tried token."""
    row = _read_pin(text)
    rows: list[dict[str, Any]] = form.values["claim_conditions"]
    if row is None or row in rows:
        return form
    unfinished = [place for place, other in enumerate(rows) if _waits_for(other, row["claim"])]
    if unfinished:
        rows = [row if place == unfinished[0] else other for place, other in enumerate(rows)]
    else:
        rows = [*rows, row]
    return form.changed(claim_conditions=rows)


def use_keys_step(jwks_url: str, issuer: str) -> str:
    """Return the step that enters a JWKS URL, and its issuer if none is entered."""
    return "use " + json.dumps({"jwks_url": jwks_url, "issuer": issuer})


def _use_keys(form: IntegrationForm, text: str) -> IntegrationForm:
    """Enter the JWKS URL at which *Test connection* has found the keys."""
    try:
        sent = json.loads(text)
        jwks_url, issuer = sent["jwks_url"], form.values["issuer"].strip() or sent["issuer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return form
    if not isinstance(jwks_url, str) or not isinstance(issuer, str):
        return form
    form = form.changed(jwks_url=jwks_url, issuer=issuer, key_source="jwks_url")
    return form.noting(jwks_url="The keys of this URL can be used.").focusing("jwks_url")


def _waits_for(row: dict[str, Any], claim: str) -> bool:
    return row["claim"].strip() in ("", claim) and not row["value"].strip() and row["operator"] != "exists"


def _read_pin(text: str) -> dict[str, Any] | None:
    try:
        sent = json.loads(text)
        claim, value = sent["claim"], sent["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(claim, str) or not 0 < len(claim) <= MAX_CLAIM_LENGTH:
        return None
    return pinned_row(claim, value)


def _choose_preset(form: IntegrationForm, _rest: str) -> IntegrationForm:
    """Fill in the values of the chosen provider."""
    preset = find_preset(form.values["preset"])
    form = _without_unfinished_conditions(form)
    if preset is None:
        return _without_preset(form)
    known = defaults_for(preset, form.connection.name)
    typed = form.values["provider_name"].strip()
    if typed and typed not in {other.label for other in PRESETS.values()}:
        del known["provider_name"]
    shown = {name: "" if value is None else value for name, value in known.items()}
    place = _place(preset, form.values[PLACE])
    form = _without_urls_of_others(form, preset, place).changed(**shown, **{PLACE: place})
    if not issuer_form(preset, place).placeholders:
        return _fill(form, "")
    return form.focusing(PLACEHOLDER_PREFIX + issuer_form(preset, place).placeholders[0])


def _without_urls_of_others(form: IntegrationForm, preset: Preset | None, place: str = "") -> IntegrationForm:
    """Return the form without the issuer of another provider, or of another place of this one."""
    issuer = form.values["issuer"].strip()
    before, recognized = find_by_issuer(issuer), recognize(issuer)
    is_elsewhere = recognized is not None and recognized.form.name != place
    return form.changed(issuer="", jwks_url="") if before and (before is not preset or is_elsewhere) else form


def _without_preset(form: IntegrationForm) -> IntegrationForm:
    """Return the form with the defaults in place of what the preset chosen before has filled in."""
    blank = IntegrationForm.blank(form.connection).values
    names = defaults_for(next(iter(PRESETS.values())), form.connection.name).keys() - {"preset", "provider_name"}
    reset = {name: blank[name] for name in names}
    if form.values["provider_name"].strip() in {preset.label for preset in PRESETS.values()}:
        reset["provider_name"] = ""
    form = _without_urls_of_others(form, None).changed(**reset, **{PLACE: ""})
    return form.noting(preset="The settings that a provider fills in have their defaults again.").focusing("preset")


def _without_unfinished_conditions(form: IntegrationForm) -> IntegrationForm:
    """Return the form without conditions that were proposed for a provider and got no value."""
    rows = form.values["claim_conditions"]
    kept = [row for row in rows if row["value"].strip() or row["operator"] == "exists" or not row["claim"].strip()]
    return form.changed(claim_conditions=kept)


def _place(preset: Preset, chosen: str) -> str:
    names = [place.name for place in preset.issuers]
    return chosen if chosen in names else names[0]


def _fill(form: IntegrationForm, _rest: str) -> IntegrationForm:
    """Fill in issuer and JWKS URL from the placeholders."""
    preset = find_preset(form.values["preset"])
    if preset is None:
        return form
    typed = {name: text.strip() for name, text in form.placeholders.items()}
    try:
        filled = fill(preset, typed, form=_place(preset, form.values[PLACE]))
    except InputInvalid as problem:
        return form.with_errors({PLACEHOLDER_PREFIX + name: texts for name, texts in problem.fields.items()})
    form = form.changed(issuer=filled.issuer, jwks_url=filled.jwks_url, key_source="jwks_url")
    return _with_tenant_pin(form).noting(issuer=f"The value for {preset.label}.").focusing("issuer")


def _with_tenant_pin(form: IntegrationForm) -> IntegrationForm:
    """Add the condition that a shared issuer requires, without a value."""
    shared = find_shared(form.values["issuer"])
    named = {row["claim"].strip() for row in form.values["claim_conditions"]}
    if shared is None or not shared.pins or any(pin.claim in named for pin in shared.pins):
        return form
    row = {**CLAIM_CONDITIONS.blank(), "claim": shared.pins[0].claim}
    return form.changed(claim_conditions=[*form.values["claim_conditions"], row])


def _discover(form: IntegrationForm, _rest: str) -> IntegrationForm:
    """Copy the metadata of the issuer (OpenID Connect Discovery) into the form."""
    issuer = form.values["issuer"].strip()
    if not issuer:
        return form.with_errors({"issuer": ["Fill in the issuer first."]}).focusing("issuer")
    mistakes = refuse_new_mistakes({"issuer": issuer}, None)
    if mistakes:
        return _recognize(form, issuer, mistakes)
    try:
        metadata = key_store().search(("discover", issuer), lambda fetches: fetches.discover(issuer))
    except JwksFetchFailed as problem:
        return form.with_errors({"issuer": [problem.message]}).focusing("issuer")
    signs = f" Its ID tokens are signed with {', '.join(metadata.algorithms)}." if metadata.algorithms else ""
    notice = f"Read from {metadata.document_url}.{signs}"
    form = form.changed(issuer=metadata.issuer, jwks_url=metadata.jwks_uri, key_source="jwks_url")
    return form.noting(issuer=notice).focusing("jwks_url")


def _recognize(form: IntegrationForm, text: str, mistakes: dict[str, list[str]]) -> IntegrationForm:
    """Fill in the issuer of another URL of a provider, such as its JWKS URL."""
    found = recognize_pasted(text, key_store(), presets)
    urls = {name: found.fields.get(name, "") for name in ("issuer", "jwks_url")}
    if not all(urls.values()):
        return form.with_errors({"issuer": [*mistakes["issuer"], *found.problems]}).focusing("issuer")
    return form.changed(**urls, key_source="jwks_url").noting(issuer=found.sentence).focusing("jwks_url")


_STEPS: dict[str, Callable[[IntegrationForm, str], IntegrationForm]] = {
    "add": _add,
    "remove": _remove,
    "bind": _bind,
    "pin": _pin,
    "use": _use_keys,
    "preset": _choose_preset,
    "fill": _fill,
    "discover": _discover,
}
