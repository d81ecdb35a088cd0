"""Conditions that an integration must have before it may trust an issuer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changegate.printable import printable
from changegate.schemas.presets.catalog import find_preset
from changegate.schemas.presets.placeholders import MAX_SHOWN
from changegate.schemas.presets.recognition import find_by_issuer, find_refusal, find_shared
from changegate.schemas.presets.shape import Preset

StoredCondition = Mapping[str, Any]


def require_pins(
    issuer: str, preset: str | None, conditions: Sequence[StoredCondition], audiences: Sequence[str]
) -> list[str]:
    """Return error messages about missing conditions; empty if the integration may be saved.

    An issuer shared by many tenants requires an enforced condition that only one tenant's tokens can pass, whether or
    not its preset was chosen: its tokens have the same issuer and keys for every tenant (docs/identity-providers.md).
    """
    return [text for texts in find_pin_faults(issuer, preset, conditions, audiences).values() for text in texts]


def find_pin_faults(
    issuer: str, preset: str | None, conditions: Sequence[StoredCondition], audiences: Sequence[str]
) -> dict[str, list[str]]:
    """Return the messages of `require_pins` by the field in which to fix them."""
    chosen = find_preset(preset)
    faults = {
        "issuer": find_refusal(issuer, chosen),
        "claim_conditions": _missing_pin(issuer, conditions),
        "audiences": _missing_audience(chosen, audiences),
    }
    return {field: [sentence] for field, sentence in faults.items() if sentence}


def find_open_trust(issuer: str, preset: str | None) -> tuple[str, str] | None:
    """Return why an integration without an enforced condition accepts too much, and the remedy.

    None for issuers of unknown providers, which may sign for a single workload.
    """
    provider = find_preset(preset) or find_by_issuer(issuer)
    if provider is None:
        return None
    sentence = f"{provider.label} signs for many workloads, and each that gets a token for this audience is accepted."
    return sentence, f"Add a claim condition, best on {' or '.join(provider.bind)}."


def find_audience_fault(
    issuer: str, preset: str | None, audiences: Sequence[str], client_id: str
) -> tuple[str, str] | None:
    """Return that the provider cannot issue tokens for any of the audiences, and the remedy, or None."""
    provider = find_preset(preset) or find_by_issuer(issuer)
    if provider is None or provider.is_audience_free or {*audiences} - {client_id}:
        return None
    sentence = f"The accepted audience is Changegate's client ID, and {provider.label} issues no tokens for it."
    return sentence, f"Enter the audience. {provider.audience_advice}"


def advise_pins(
    issuer: str, preset: str | None, conditions: Sequence[StoredCondition], run_as: str | None
) -> str | None:
    """Return advice if every token of the provider for this audience acts as the same user, else None."""
    provider = find_preset(preset) or find_by_issuer(issuer)
    if not run_as or any(not condition.get("report_only") for condition in conditions):
        return None
    names = f", best on {' or '.join(provider.bind)}" if provider and provider.bind else ""
    return f"Everyone who gets a token for this audience acts as {run_as}. Add a claim condition{names}."


def _missing_pin(issuer: str, conditions: Sequence[StoredCondition]) -> str | None:
    provider = find_shared(issuer)
    if provider is None or has_pin(conditions, provider):
        return None
    misshapen = find_misshapen_pin(conditions, provider)
    if misshapen is not None:
        return " ".join(misshapen)
    names = " or ".join(dict.fromkeys(pin.claim for pin in provider.pins))
    return (
        f"{provider.label} signs for everybody under this issuer. Add a claim condition, equals or one_of of type "
        f"string and not report-only, on {names} with the value that is yours. Names do not count, since others can "
        "take them over."
    )


def is_pin_claim(issuer: str, condition: StoredCondition) -> bool:
    """Return whether a condition is on a claim of which a shared issuer requires one."""
    provider = find_shared(issuer)
    return provider is not None and _name(str(condition.get("claim", ""))) in {pin.claim for pin in provider.pins}


def has_pin(conditions: Iterable[StoredCondition], provider: Preset) -> bool:
    """Return whether a condition is one that only the tokens of one tenant can pass."""
    return any(_is_pin(condition, provider) for condition in conditions)


def find_misshapen_pin(conditions: Iterable[StoredCondition], provider: Preset) -> tuple[str, str] | None:
    """Return what is wrong with a condition that holds a name in place of an ID, and the remedy, or None."""
    for condition in conditions:
        pin = next((pin for pin in provider.pins if pin.claim == _name(str(condition.get("claim", "")))), None)
        wrong = [value for value in _values(condition) if pin is not None and pin.says and not pin.holds(value)]
        if pin is not None and wrong:
            return f"{pin.claim} is {pin.says}; {printable(str(wrong[0]), MAX_SHOWN)} is not.", pin.source
    return None


def _missing_audience(preset: Preset | None, audiences: Sequence[str]) -> str | None:
    if preset is None or preset.audience_claim == "aud" or audiences:
        return None
    return f"{preset.label}: {preset.audience_advice}"


def _is_pin(condition: StoredCondition, provider: Preset) -> bool:
    if condition.get("report_only") or condition.get("value_type") != "string":
        return False
    values = _values(condition)
    claim = _name(str(condition.get("claim", "")))
    return bool(values) and any(
        pin.claim == claim and all(pin.holds(value) for value in values) for pin in provider.pins
    )


def _values(condition: StoredCondition) -> list[object]:
    """Return the values that the claim may equal; empty for an operator that is not exact."""
    value = condition.get("value")
    if condition.get("operator") == "equals":
        return [value]
    return value if condition.get("operator") == "one_of" and isinstance(value, list) else []


def _name(claim: str) -> str:
    """Return the name of a top-level claim, also if it is written as a JSON pointer (RFC 6901)."""
    if claim.startswith("/") and "/" not in claim[1:]:
        return claim[1:].replace("~1", "/").replace("~0", "~")
    return claim
