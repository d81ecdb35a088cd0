"""The grounds of an integration's tokens: the fields whose change revokes the tokens issued so far."""

from collections.abc import Mapping

from changegate.models import OAuthEntity
from changegate.models.integration_choices import ID_TOKEN

ISSUES_REFRESH_TOKENS = "issue_refresh_tokens"
GROUNDS = ("active", "public_client", "issuer", "run_as", "user_field", ISSUES_REFRESH_TOKENS)
KEYS = ("key_source", "jwks_url", "jwks", "static_keys")
# ID tokens are verified at API calls, so that for them every rule for assertions counts as well.
RULES_OF_ID_TOKENS = (
    *("audiences", "audience_claim", "allow_additional_audiences", "algorithms", "required_typ", "allow_missing_kid"),
    *("replay_policy", "jti_claim", "max_assertion_lifetime_seconds", "clock_skew_seconds", "user_claim"),
    "require_email_verified",
)


def grounds_of(entity: OAuthEntity) -> dict[str, object]:
    """Return the grounds of an integration's tokens; without scopes, which are read at each call."""
    names = (*GROUNDS, *KEYS, *(RULES_OF_ID_TOKENS if entity.type == ID_TOKEN else ()))
    grounds = {name: getattr(entity, name) for name in names}
    return grounds | {"claim_conditions": entity.claim_conditions or []}


def has_lost_grounds(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Return whether tokens lost any of their grounds; starting to issue refresh tokens takes nothing away."""
    gained = {ISSUES_REFRESH_TOKENS} if after[ISSUES_REFRESH_TOKENS] else set()
    return any(before[name] != after[name] for name in before.keys() - gained)


def keys_of(entity: OAuthEntity) -> tuple[object, ...]:
    """Return the fields that determine the keys of an integration."""
    return tuple(getattr(entity, name) for name in KEYS)
