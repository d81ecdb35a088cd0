"""The check of the quick setup before it is saved: all errors at once, and warnings to confirm."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from changegate.console.guards import caller
from changegate.console.integrations.setup_form import CREATED, OTHER, SetupForm
from changegate.errors import InputInvalid
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.integration_input import load_integration
from changegate.schemas.presets import find_keys_advice, find_pin_faults
from changegate.services.integrations.recognition import KeyTest
from changegate.services.integrations.run_as import find_account_fault, list_account_warnings
from changegate.services.integrations.saving import NO_USER, TAKEN, find_user, is_name_taken

NO_CONDITION = (
    "Tick a claim or enter its value, so that not every token of this issuer is accepted. If the issuer signs for this "
    "one workload only, say so below."
)
NO_KEYS = "Paste the key set, or its JWKS URL."
CONFIRM_LENGTH = 16
# Fields of the schema that other fields of this form determine.
PLACES = {
    "claim_conditions": "conditions",
    "audiences": "audience",
    **dict.fromkeys(("jwks_url", "jwks", "verifier_maps"), "keys"),
}

_schema = ClaimConditionSchema()


def find_errors(form: SetupForm) -> dict[str, list[str]]:
    """Return the messages by field of the form, those of the schema and of the records together."""
    errors: dict[str, list[str]] = {}
    for place, message in [*_errors_of_answers(form), *_errors_of_schema(form), *_errors_of_conditions(form)]:
        errors.setdefault(place, [])
        if message not in errors[place]:
            errors[place].append(message)
    return errors


def find_cautions(form: SetupForm, keys: KeyTest | None) -> tuple[str, ...]:
    """Return the warnings about a form without errors; `keys` is a fresh test of the keys."""
    failed = [f"The keys cannot be used at the moment: {keys.error}"] if keys and keys.error else []
    account = [] if form.values["account"] == CREATED else list_account_warnings(form.run_as)
    return (*failed, *account)


def digest_of(cautions: tuple[str, ...]) -> str:
    """Return the digest by which an administrator confirms these warnings, and no others."""
    return sha256("\n".join(cautions).encode()).hexdigest()[:CONFIRM_LENGTH]


def with_schema_errors(form: SetupForm, errors: Mapping[str, list[str]]) -> SetupForm:
    """Return the form with errors of the integration's fields, at the fields of this form."""
    return replace(form, errors={_place_of(form, name): texts for name, texts in errors.items()})


def _errors_of_answers(form: SetupForm) -> Iterator[tuple[str, str]]:
    values = form.values
    if not form.recognition.has_keys:
        yield "jwks", find_keys_advice(form.values["issuer"]) or NO_KEYS
    if not form.used_rows and not values["is_for_all"]:
        yield "conditions", NO_CONDITION
    if values["account"] == CREATED:
        if (fault := find_account_fault(values["new_account"], caller())) is not None:
            yield "new_account", fault
    elif not values["run_as"]:
        yield "run_as", "Enter the user ID of the account, or create one."
    elif (user := find_user(values["run_as"])) is None or not user.is_active:
        yield "run_as", NO_USER.format(values["run_as"])
    if not form.audiences:
        message = "Enter the audience." if values["audience_choice"] == OTHER else "Choose the audience."
        yield "audience", message
    if values["name"] and is_name_taken(values["name"]):
        yield "name", TAKEN.format(values["name"])


def _errors_of_schema(form: SetupForm) -> Iterator[tuple[str, str]]:
    # The errors of the conditions have rows, which the schema's messages lose here.
    fields = {**form.fields(), "claim_conditions": []}
    try:
        load_integration(fields | {"run_as": form.run_as or "unknown"})
    except InputInvalid as problem:
        for name, texts in problem.fields.items():
            if name not in ("claim_conditions", "run_as") and (name != "jwks_url" or form.recognition.has_keys):
                yield from ((_place_of(form, name), text) for text in texts)


def _errors_of_conditions(form: SetupForm) -> Iterator[tuple[str, str]]:
    conditions = form.conditions
    # marshmallow keys these messages by the index of the row, contrary to its type annotations.
    refused: Mapping[Any, Any] = _schema.validate(conditions, many=True)
    for place, row in enumerate(form.used_rows):
        for name, texts in refused.get(place, {}).items():
            shown = name if name == "claim" and not form.values["conditions"][row]["is_given"] else "value"
            yield from ((f"conditions-{row}-{shown}", str(text)) for text in texts)
    sound = [_schema.load(condition) for place, condition in enumerate(conditions) if place not in refused]
    preset = form.preset
    # If none was chosen, that message comes first and is enough.
    if conditions or form.values["is_for_all"]:
        faults = find_pin_faults(form.values["issuer"], preset.name if preset else None, sound, form.audiences)
        yield from (("conditions", text) for text in faults.get("claim_conditions", []))


def _place_of(form: SetupForm, name: str) -> str:
    if name == "run_as" and form.values["account"] == CREATED:
        return "new_account"
    return PLACES.get(name, name)
