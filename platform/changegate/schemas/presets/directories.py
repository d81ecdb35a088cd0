"""Directories that give tokens to registered applications: Entra ID, Okta, Auth0, Keycloak."""

from changegate.schemas.presets.shape import IssuerForm, Preset, immutable, renamable, run_specific

_APPLICATION_SUBJECT = "The subject is the application: one user for each integration is the plainest."

ENTRA_ID = Preset(
    name="entra-id",
    label="Microsoft Entra ID",
    issuers=(
        IssuerForm(
            "v2",
            "Version 2 tokens",
            "https://login.microsoftonline.com/{tenant_id}/v2.0",
            "https://login.microsoftonline.com/{tenant_id}/discovery/v2.0/keys",
        ),
        IssuerForm(
            "v1",
            "Version 1 tokens, managed identities",
            "https://sts.windows.net/{tenant_id}/",
            "https://login.microsoftonline.com/{tenant_id}/discovery/keys",
        ),
    ),
    # Both the platform and Microsoft's libraries hand out a token again and again until it expires.
    replay_policy="reusable-until-exp",
    jti_claim="uti",
    max_assertion_lifetime_seconds=5700,
    audience_advice="Version 2: the client ID (a GUID) of the application that stands for this desk. Version 1: its "
    "Application ID URI.",
    claims=(
        immutable("oid", "The object id of the service principal or managed identity; the same as sub."),
        immutable("sub", "The same as oid in tokens of applications."),
        immutable("tid", "The tenant."),
        immutable("azp", "Version 2: the client ID of the application that asked for the token."),
        immutable("appid", "Version 1: the client ID of the application that asked for the token."),
        immutable("xms_mirid", "The Azure resource of a managed identity."),
        renamable("roles", "A list of the application roles that were assigned."),
        renamable("idtyp", "app for an application, where this optional claim is turned on."),
        renamable("azpacr", "Version 2: how the application proved itself: 1 a secret, 2 a certificate or federation."),
        renamable("appidacr", "The same in version 1."),
        renamable("ver", "1.0 or 2.0."),
        renamable("email", "Never a proof: users can set it."),
        renamable("upn", "Never a proof: it is given to others."),
        renamable("preferred_username", "Never a proof: it is given to others."),
        renamable("unique_name", "Never a proof: it is given to others."),
        run_specific("uti", "The token."),
    ),
    bind=("tid", "oid", "azp", "appid", "roles"),
    subject_advice=_APPLICATION_SUBJECT,
    traps=(
        "Which version comes is decided by the application that stands for this desk "
        "(requestedAccessTokenVersion in its manifest), not by the endpoint that is asked.",
        "/common and /organizations have no issuer of their own: enter the tenant's.",
        "Require a role, and let assignment be required: else every application of the tenant gets a token.",
        "Applications with signing keys of their own publish them at the JWKS URL with ?appid=CLIENT_ID appended.",
        "Tokens for Microsoft Graph cannot be verified by others: ask for this desk's scope, …/.default.",
        "There is no jti claim; uti takes its place. If each run fetches a fresh token, choose jti-required-once.",
        "Managed identities get tokens for about a day: raise the maximum assertion lifetime for them.",
    ),
)

OKTA = Preset(
    name="okta",
    label="Okta",
    issuers=(
        IssuerForm(
            "custom",
            "Custom authorization server",
            "https://{okta_domain}/oauth2/{authorization_server}",
            "{issuer}/v1/keys",
        ),
        IssuerForm(
            "custom-domain",
            "Custom authorization server at a custom domain",
            "https://{domain}/oauth2/{authorization_server}",
            "{issuer}/v1/keys",
            is_telling=False,
        ),
    ),
    audience_advice="The audience of the custom authorization server, api://default unless you changed it. Make a "
    "server with an audience for this desk.",
    claims=(
        immutable("cid", "The client ID of the application."),
        immutable("sub", "The same as cid for client credentials; a user's login otherwise."),
        renamable("scp", "A list of the granted scopes."),
        renamable("ver", "1, a number."),
        run_specific("jti", "The token, AT.…"),
    ),
    bind=("cid", "scp"),
    subject_advice=_APPLICATION_SUBJECT,
    traps=(
        "The org authorization server (no /oauth2/ in its issuer) makes tokens for Okta itself only.",
        "A custom domain changes the issuer: enter the one in the token.",
        "scp is a list: use contains, not equals.",
    ),
)

AUTH0 = Preset(
    name="auth0",
    label="Auth0",
    issuers=(
        IssuerForm(
            "tenant",
            "Tenant",
            "https://{auth0_tenant}.auth0.com/",
            "{issuer}/.well-known/jwks.json",
        ),
        IssuerForm(
            "custom-domain",
            "Custom domain",
            "https://{domain}/",
            "{issuer}/.well-known/jwks.json",
            is_telling=False,
        ),
    ),
    replay_policy="once-if-present",
    max_assertion_lifetime_seconds=86_400,
    audience_advice="The identifier of the API that stands for this desk.",
    claims=(
        immutable("azp", "The client ID of the application."),
        immutable("client_id", "The same in the RFC 9068 profile."),
        immutable("sub", "CLIENT_ID@clients for client credentials."),
        renamable("gty", "client-credentials; absent in the RFC 9068 profile."),
        renamable("scope", "The granted scopes, in one string."),
        run_specific("jti", "The token; only in the RFC 9068 profile."),
    ),
    bind=("azp", "client_id", "gty"),
    subject_advice=_APPLICATION_SUBJECT,
    traps=(
        "The issuer ends with a slash.",
        "With the RFC 9068 profile the typ is at+jwt: enter it as Required typ.",
        "The API must sign with RS256; HS256 tokens are refused.",
        "Tokens live a day unless the API says less: shorten them there, then lower the maximum here.",
        "Tokens of people who log in are for two audiences, and refused for it.",
    ),
)

KEYCLOAK = Preset(
    name="keycloak",
    label="Keycloak",
    issuers=(
        IssuerForm(
            "realm",
            "Keycloak 17 and later",
            "https://{base}/realms/{realm}",
            "{issuer}/protocol/openid-connect/certs",
        ),
        IssuerForm(
            "auth-realm",
            "Earlier, and Red Hat SSO",
            "https://{base}/auth/realms/{realm}",
            "{issuer}/protocol/openid-connect/certs",
        ),
    ),
    algorithms=("RS256", "PS256", "ES256", "EdDSA"),
    max_assertion_lifetime_seconds=900,
    audience_advice="Add an audience mapper for this desk to a client scope. Without one it is account, which is in "
    "the tokens of everybody.",
    claims=(
        immutable("sub", "The UUID of the client's service account."),
        immutable("azp", "The client id; only administrators of the realm can give it."),
        immutable("client_id", "The same, where the service account scope has its mapper."),
        immutable("clientId", "The same in older versions."),
        renamable("preferred_username", "service-account- and the client id."),
        renamable("/realm_access/roles", "A list of the roles in the realm."),
        renamable("scope", "The granted scopes, in one string."),
        renamable("typ", "Bearer: a claim, not the typ of the header."),
        run_specific("clientHost", "Where the request came from."),
        run_specific("clientAddress", "Where the request came from."),
        run_specific("jti", "The token."),
    ),
    bind=("azp", "sub"),
    subject_advice=_APPLICATION_SUBJECT,
    traps=(
        "The issuer follows the host name that the token was asked for at, unless the server's hostname is set.",
        "account comes as a second audience through the default roles: turn Full scope allowed off for the client.",
        "Since Keycloak 25 sub comes from the client scope basic; without it the token is refused.",
        "Lightweight access tokens leave claims out.",
    ),
)
