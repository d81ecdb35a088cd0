"""Presets of directories with registered applications: Entra ID, Okta, Auth0, Keycloak."""

from changegate.schemas.presets.shape import IssuerForm, Preset, immutable, renamable, run_specific

_APPLICATION_SUBJECT = "The subject is the application. The simplest setup is one user for each integration."

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
    # Both the platform and Microsoft's libraries return a cached token until it expires.
    replay_policy="reusable-until-exp",
    jti_claim="uti",
    max_assertion_lifetime_seconds=5700,
    is_audience_free=False,
    audience_advice="Version 2: the client ID (a GUID) of the application that represents Changegate. Version 1: its "
    "Application ID URI.",
    claims=(
        immutable("oid", "The object id of the service principal or managed identity; the same as sub."),
        immutable("sub", "The same as oid in tokens of applications."),
        immutable("tid", "The tenant."),
        immutable("azp", "Version 2: the client ID of the application that asked for the token."),
        immutable("appid", "Version 1: the client ID of the application that asked for the token."),
        immutable("xms_mirid", "The Azure resource of a managed identity."),
        renamable("roles", "A list of the application roles that were assigned."),
        renamable("idtyp", "app for an application, if this optional claim is turned on."),
        renamable("azpacr", "Version 2: how the application authenticated: 1 a secret, 2 a certificate or federation."),
        renamable("appidacr", "The same in version 1."),
        renamable("ver", "1.0 or 2.0."),
        renamable("email", "Never rely on it: users can set it."),
        renamable("upn", "Never rely on it: it can be assigned to other users."),
        renamable("preferred_username", "Never rely on it: it can be assigned to other users."),
        renamable("unique_name", "Never rely on it: it can be assigned to other users."),
        run_specific("uti", "The token."),
    ),
    bind=("tid", "oid", "azp", "appid", "roles"),
    subject_advice=_APPLICATION_SUBJECT,
    traps=(
        "The version of a token depends on the application that represents Changegate (requestedAccessTokenVersion in "
        "its manifest), not on the endpoint.",
        "/common and /organizations are not issuers of tokens: enter the tenant's issuer.",
        "Require a role, and turn on Assignment required: otherwise every application of the tenant gets a token.",
        "Applications with their own signing keys publish them at the JWKS URL with ?appid=CLIENT_ID appended.",
        "Other services cannot verify tokens for Microsoft Graph: request Changegate's scope, …/.default.",
        "There is no jti claim; uti takes its place. If each run fetches a fresh token, choose jti-required-once.",
        "Tokens of managed identities live for about a day: raise the maximum assertion lifetime for them.",
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
    is_audience_free=False,
    audience_advice="The audience of the custom authorization server, api://default unless you changed it. Create a "
    "server with an audience for Changegate.",
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
        "The org authorization server (no /oauth2/ in its issuer) issues tokens for Okta itself only.",
        "A custom domain changes the issuer: enter the issuer in the token.",
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
    audience_advice="The identifier of the API that represents Changegate.",
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
        "With the RFC 9068 profile, the typ is at+jwt: enter it as Required typ.",
        "The API must sign with RS256; HS256 tokens are refused.",
        "Tokens live for a day unless the API has a shorter expiration: shorten it there, then lower the maximum here.",
        "Tokens of people who log in have two audiences and are therefore refused.",
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
    audience_advice="Add an audience mapper for Changegate to a client scope. Without it, the audience is account, "
    "which is in everyone's tokens.",
    claims=(
        immutable("sub", "The UUID of the client's service account."),
        immutable("azp", "The client id; only administrators of the realm can assign it."),
        immutable("client_id", "The same, if the service account scope has its mapper."),
        immutable("clientId", "The same in older versions."),
        renamable("preferred_username", "service-account- followed by the client id."),
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
        "The issuer depends on the host name in the token request, unless the server's hostname is set.",
        "The default roles add account as a second audience: turn Full scope allowed off for the client.",
        "Since Keycloak 25, sub comes from the client scope basic; without it, the token is refused.",
        "Lightweight access tokens omit claims.",
    ),
)
