"""The catalog of identity providers, as an argument of the hygiene checks."""

from changegate.schemas.presets import find_claim_kinds, require_pins
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge

PROVIDERS = ProviderKnowledge(require_pins, find_claim_kinds)
