"""Presets of Ping Identity: PingFederate (self-hosted) and PingOne."""

from changegate.schemas.presets.shape import IssuerForm, Preset, immutable, renamable, run_specific

PINGFEDERATE = Preset(
    name="pingfederate",
    label="PingFederate",
    issuers=(
        IssuerForm(
            "central",
            "Centralized signing key",
            "https://{host}",
            "{issuer}/pf/JWKS",
            is_telling=False,
        ),
        IssuerForm(
            "token-manager",
            "Keys of an access token manager",
            "https://{host}",
            "{issuer}/ext/{path}",
            is_telling=False,
        ),
    ),
    algorithms=("RS256", "ES256"),
    max_assertion_lifetime_seconds=7200,
    audience_advice="Set the Audience Claim Value of the access token manager to the address of this server.",
    claims=(
        immutable("client_id", "The client; the claim's name is configured in the access token manager."),
        renamable("sub", "What the attribute contract maps it to; may be missing for client credentials."),
        renamable("scope", "The granted scopes, a string or a list."),
        run_specific("jti", "The token, if the access token manager adds it."),
    ),
    bind=("client_id",),
    subject_advice="Map sub in the attribute contract; for client credentials, map it to the client id.",
    traps=(
        "iss, aud, jti, and kid are all optional in the access token manager: turn the four on. iss and aud are "
        "required here; if jti or kid is missing, set the integration accordingly.",
        "A token without sub is refused: map the client id to sub.",
        "The engine usually listens on port 9031, which is part of the JWKS URL but not necessarily of the issuer.",
        "Symmetric and encrypted tokens are refused: choose an RS or ES algorithm with a signing certificate.",
    ),
)

PINGONE = Preset(
    name="pingone",
    label="PingOne",
    issuers=(
        IssuerForm(
            "environment",
            "Environment",
            "https://auth.pingone.{pingone_region}/{environment_id}/as",
            "{issuer}/jwks",
        ),
    ),
    audience_advice="The audience of the custom resource that represents Changegate.",
    claims=(
        immutable("client_id", "The application."),
        immutable("env", "The environment; only in tokens for PingOne's own API."),
        immutable("org", "The organization; only in tokens for PingOne's own API."),
        renamable("sub", "What the custom resource maps it to."),
        renamable("scope", "The granted scopes, in one string."),
        run_specific("jti", "The token."),
        run_specific("p1.rid", "The request."),
    ),
    bind=("client_id",),
    subject_advice="Map the attribute sub of the custom resource; client credentials tokens have no sub otherwise.",
    traps=(
        "Client credentials tokens have no sub unless the custom resource maps one; without it, they are refused.",
        "If the resource sets typ in the header to at+jwt, enter it as Required typ.",
    ),
)
