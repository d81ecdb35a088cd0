"""Presets of identity providers: issuers, key sets, claims, and required conditions."""

from changegate.schemas.presets.catalog import (
    PRESETS,
    Filled,
    claim_kinds,
    defaults_of,
    fill,
    find_preset,
    get_preset,
    issuer_form,
)
from changegate.schemas.presets.mistakes import Mistake, find_mistakes, refuse_new_mistakes
from changegate.schemas.presets.pins import (
    advise_pins,
    find_audience_fault,
    find_open_trust,
    find_pin_faults,
    is_pin_claim,
    require_pins,
)
from changegate.schemas.presets.placeholders import PLACEHOLDERS, Placeholder
from changegate.schemas.presets.recognition import (
    Recognized,
    find_by_issuer,
    find_claim_kinds,
    find_jwks_url,
    find_keys_advice,
    find_refusal,
    find_shared,
    list_issuers_of,
    recognize,
)
from changegate.schemas.presets.shape import CLAIM_KINDS, ClaimNote, IssuerForm, Pin, Preset

__all__ = [
    "CLAIM_KINDS",
    "PLACEHOLDERS",
    "PRESETS",
    "ClaimNote",
    "Filled",
    "IssuerForm",
    "Mistake",
    "Pin",
    "Placeholder",
    "Preset",
    "Recognized",
    "advise_pins",
    "claim_kinds",
    "defaults_of",
    "fill",
    "find_audience_fault",
    "find_by_issuer",
    "find_claim_kinds",
    "find_jwks_url",
    "find_keys_advice",
    "find_mistakes",
    "find_open_trust",
    "find_pin_faults",
    "find_preset",
    "find_refusal",
    "find_shared",
    "get_preset",
    "is_pin_claim",
    "issuer_form",
    "list_issuers_of",
    "recognize",
    "refuse_new_mistakes",
    "require_pins",
]
