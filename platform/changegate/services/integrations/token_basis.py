"""What the tokens of an integration rest on: a change that takes any of it away ends those that are out."""

from collections.abc import Mapping

from changegate.models import OAuthEntity
from changegate.models.oauth_entity import ID_TOKEN

REFRESHED = "issue_refresh_tokens"
BASIS = ("active", "public_client", "issuer", "run_as", "user_field", REFRESHED)
KEYS = ("key_source", "jwks_url", "jwks", "static_keys")
# An ID token is judged at calls and not before, and so by whatever an assertion would be judged by.
JUDGED_BY = (
    *("audiences", "audience_claim", "allow_additional_audiences", "algorithms", "required_typ", "allow_missing_kid"),
    *("replay_policy", "jti_claim", "max_assertion_lifetime_seconds", "clock_skew_seconds", "user_claim"),
    "require_email_verified",
)


def basis_of(entity: OAuthEntity) -> dict[str, object]:
    """Return what a token of an integration rests on; scopes are not of it, since they are read at each call."""
    names = (*BASIS, *KEYS, *(JUDGED_BY if entity.type == ID_TOKEN else ()))
    found = {name: getattr(entity, name) for name in names}
    return found | {"claim_conditions": entity.claim_conditions or []}


def is_tightened(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Tell whether tokens rested on something that is gone; who gets refresh tokens from now on loses nothing."""
    gained = {REFRESHED} if after[REFRESHED] else set()
    return any(before[name] != after[name] for name in before.keys() - gained)


def keys_of(entity: OAuthEntity) -> tuple[object, ...]:
    """Return where the keys of an integration are, or what they are."""
    return tuple(getattr(entity, name) for name in KEYS)
