"""The fields of integrations, as one list from which columns, schemas, form, options, file, and texts follow.

docs/adding-a-field.md shows what follows from an entry, and what does not. The position in the list is the position in
the form, in answers of the admin API, in exported files, and among the options.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import MappedColumn, mapped_column

from changegate.models.base import boolean, choice, day, integer, reference, string, text
from changegate.models.integration_choices import (
    ALGORITHMS,
    CLIENT_CREDENTIALS,
    CONNECTION_TYPES,
    DEFAULT_ALGORITHMS,
    ID_TOKEN,
    JWT_BEARER,
    KEY_SOURCES,
    MAX_CONDITIONS,
    PASSWORD,
    REPLAY_POLICIES,
    REUSABLE,
    TOKEN_FORMATS,
    USER_FIELDS,
)
from changegate.models.integration_field import LIST_KINDS, Field, Kind
from changegate.models.jwt_verifier_map import SHARED_KEY_BYTES

PROVIDED = (JWT_BEARER, ID_TOKEN)
EXCHANGED = (CLIENT_CREDENTIALS, JWT_BEARER, PASSWORD)

# An entry takes as few lines as it can, so that many entries fit on a screen.
# fmt: off
_FIELDS = (
    Field("name", Kind.LINE, "Name", part="details", is_required=True),
    Field("type", Kind.CHOICE, "Connection type", "Cannot be changed later. Default: jwt_bearer; dashes are accepted.",
          part="page", default=JWT_BEARER, choices=CONNECTION_TYPES,
          differs={name: {"default": name} for name in CONNECTION_TYPES}),
    Field("provider_name", Kind.LINE, "Provider name", "The provider or team that runs the automation.",
          part="details", is_required=True),
    Field("preset", Kind.LINE, "Identity provider",
          "Fills in the provider's usual values and shows what to watch out for.", PROVIDED, "provider", length=40),
    Field("issuer", Kind.LINE, "Issuer", "Must match the {token}'s iss claim exactly.", PROVIDED, "trust",
          is_required=True, length=255, example="https://idp.example.com"),
    Field("audiences", Kind.LINES, "Accepted audiences",
          "The values accepted as the {token}'s aud. Empty: the client ID.", PROVIDED, "trust", length=255, most=20),
    Field("audience_claim", Kind.LINE, "Audience claim",
          "The claim that contains the audience: aud, except for providers that do not send it (Cognito: client_id).",
          PROVIDED, default="aud"),
    Field("allow_additional_audiences", Kind.SWITCH, "Allow additional audiences",
          "The {token} may have other audiences too. When this is off, an accepted audience must be its only one.",
          PROVIDED, "trust", default=False),
    Field("key_source", Kind.CHOICE, "Key source", "Only the fields of the chosen source are used.", PROVIDED,
          "keys", default="jwks_url", choices=KEY_SOURCES),
    Field("jwks_url", Kind.LINE, "JWKS URL",
          "Where the provider publishes its signing keys. Rotated keys are fetched automatically.", PROVIDED, "keys",
          default="", length=2048, example="https://idp.example.com/.well-known/jwks.json"),
    Field("jwks", Kind.KEY_SET, "Key set",
          "The JSON of a JWK set, for a provider that Changegate cannot reach. Paste it again when the provider "
          "rotates its keys.", PROVIDED, "keys", length=100_000),
    Field("verifier_maps", Kind.VERIFIER_MAPS, "JWT verifier maps",
          "Every row is a valid key: add the new key before you remove the old one. HS algorithms require a shared "
          "key, and a shared key requires an HS algorithm.", PROVIDED, "keys", most=20),
    Field("allow_missing_kid", Kind.SWITCH, "Accept {token}s without kid",
          "They are verified with every matching key, four at most.", PROVIDED, default=False),
    Field("algorithms", Kind.NAMES, "Allowed algorithms", "HS algorithms work only with the key source Shared key.",
          PROVIDED, default=tuple(DEFAULT_ALGORITHMS),
          choices={name: name for name in (*ALGORITHMS, *SHARED_KEY_BYTES)}),
    Field("required_typ", Kind.LINE, "Required typ",
          "The required typ in the header, such as at+jwt. Empty: JWT or no typ.", PROVIDED),
    Field("claim_conditions", Kind.CONDITIONS, "Claim conditions",
          "Further requirements on the {token}; all must pass. Write a nested claim as a JSON pointer, such as "
          "/kubernetes.io/namespace. Enter several values one per line; * matches within one segment. Conditions with "
          "Report only are counted and never refuse.", PROVIDED, "conditions", most=MAX_CONDITIONS),
    Field("replay_policy", Kind.CHOICE, "Replay policy",
          "Depends on Enable JTI Verification: when that is off, {token}s are reusable.", PROVIDED,
          default="jti-required-once", choices=REPLAY_POLICIES, differs={ID_TOKEN: {"default": REUSABLE}}),
    Field("enable_jti_verification", Kind.SWITCH, "Enable JTI Verification",
          "An assertion is exchanged once and refused after that.", PROVIDED, "keys", default=True,
          option="jti-verification", differs={ID_TOKEN: {
              "default": False, "help": "A token is accepted for one API call and refused after that."}}),
    Field("jti_claim", Kind.LINE, "JTI claim", "The claim that is unique in each {token} (Entra ID: uti).", PROVIDED,
          "keys", default="jti"),
    Field("max_assertion_lifetime_seconds", Kind.NUMBER, "Maximum {token} lifetime (seconds)", types=PROVIDED,
          default=3600, least=60, most=86_400),
    Field("clock_skew_seconds", Kind.NUMBER, "Clock skew (seconds)", types=PROVIDED, default=60, most=300),
    Field("jwks_cache_lifespan_minutes", Kind.NUMBER, "JWKS cache lifespan (minutes)", types=PROVIDED, default=60,
          least=5, most=1440),
    Field("user_claim", Kind.LINE, "User claim",
          "The claim that identifies the user; it is compared with the user field.", (ID_TOKEN,), "trust",
          default="sub"),
    Field("require_email_verified", Kind.SWITCH, "Require email_verified",
          "With the user claim email, only tokens whose email_verified is true are accepted.", (ID_TOKEN,), "trust",
          default=True),
    Field("run_as", Kind.USER, "Run as", "The user that every token of this integration acts as.",
          (CLIENT_CREDENTIALS, *PROVIDED), "trust", length=40,
          lacks="has no run-as user: its tokens act as the user who signs in",
          differs={CLIENT_CREDENTIALS: {
              "label": "OAuth Application User", "help": "Every token acts as this user, limited by the scopes.",
              "is_required": True}}),
    Field("user_field", Kind.CHOICE, "User field",
          "The field that identifies the user by the subject, or by the user claim of an ID token.", PROVIDED,
          "page", choices=USER_FIELDS),
    Field("scopes", Kind.NAMES, "Auth scopes",
          "A token can do only what its scopes allow. Changes apply to live tokens immediately.", part="scope",
          most=50),
    Field("scope_restriction", Kind.SWITCH, "Allow access only to APIs in selected scope",
          "When this is off, calls that no scope protects are limited only by the user's roles.", part="scope",
          default=True),
    Field("enforce_token_restriction", Kind.SWITCH, "Enforce token restriction",
          "The token works only for APIs that rules of the chosen scopes name, even with useraccount, and even where "
          "no scope protects the other APIs.", default=False),
    Field("token_format", Kind.CHOICE, "Token format",
          "An opaque token reveals nothing; other services can read a JWT and verify it with the public keys of this "
          "instance.", EXCHANGED, default="opaque", choices=TOKEN_FORMATS,
          lacks="has no token format: the provider's own tokens are sent to the API"),
    Field("access_token_lifespan_seconds", Kind.NUMBER, "Access token lifespan (seconds)", types=EXCHANGED,
          default=1800, least=60, most=86_400,
          lacks="has no access tokens of its own: the provider's tokens are valid until they expire"),
    Field("issue_refresh_tokens", Kind.SWITCH, "Issue refresh tokens",
          "A refresh token can be exchanged for new access tokens without the password until it expires.", (PASSWORD,),
          default=False, lacks="has no refresh tokens"),
    Field("refresh_token_lifespan_seconds", Kind.NUMBER, "Refresh token lifespan (seconds)", types=(PASSWORD,),
          default=8_640_000, least=60, most=31_536_000),
    Field("public_client", Kind.SWITCH, "This is a public client",
          "The signed assertion alone authenticates the client; no client secret is required.", (JWT_BEARER,),
          "client", default=True, option="public", lacks="cannot be a public client"),
    Field("active", Kind.SWITCH, "Active",
          "When off, all of its tokens are refused and none are issued.", part="care",
          default=True),
    Field("creations_per_hour", Kind.NUMBER, "Creations per hour",
          "Empty: no limit. Further creations are refused with 429.", least=1, most=10_000),
    Field("creations_per_day", Kind.NUMBER, "Creations per day", "Empty: no limit.", least=1, most=100_000),
    Field("owner", Kind.USER, "Owner", "The user who is responsible for this integration.", part="care",
          length=40),
    Field("owner_group", Kind.GROUP, "Owner group",
          "Its members are responsible for this integration, beside or instead of the owner.", part="care"),
    Field("review_date", Kind.DATE, "Review date", "When the integration should be reviewed.", part="care"),
    Field("comments", Kind.TEXT, "Comments", part="care", length=4000),
)
# fmt: on

FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field.of(JWT_BEARER) for field in _FIELDS})
FIELDS_OF: Mapping[str, Mapping[str, Field]] = MappingProxyType(
    {
        name: MappingProxyType({field.name: field.of(name) for field in _FIELDS if name in field.types})
        for name in CONNECTION_TYPES
    }
)


def column(name: str, **options: Any) -> MappedColumn[Any]:
    """Declare the column of a field; `options` are those of the column, such as `server_default`."""
    field = FIELDS[name]
    if field.kind == Kind.CONDITIONS:
        return mapped_column(JSON(none_as_null=True), **options)
    if field.kind in LIST_KINDS:
        return mapped_column(JSON, default=list, **options)
    if field.default is not None:
        options.setdefault("default", field.default)
    match field.kind:
        case Kind.LINE:
            return string(field.label, field.length, **options)
        case Kind.TEXT | Kind.KEY_SET:
            return text(field.label, field.length, **options)
        case Kind.CHOICE:
            return choice(field.label, field.choices, **options)
        case Kind.USER:
            return reference(field.label, "sys_user", **options)
        case Kind.GROUP:
            return reference(field.label, "sys_user_group", **options)
        case _:
            return _DECLARED[field.kind](field.label, **options)


_DECLARED = {Kind.SWITCH: boolean, Kind.NUMBER: integer, Kind.DATE: day}
