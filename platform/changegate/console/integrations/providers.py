"""What the checks of hygiene are told of identity providers."""

from changegate.schemas.presets import find_claim_kinds, require_pins
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge

PROVIDERS = ProviderKnowledge(require_pins, find_claim_kinds)
