"""Presets of clouds: Google, Amazon Cognito, AWS STS."""

from changegate.schemas.presets.shape import IssuerForm, Pin, Preset, immutable, renamable, run_specific

GOOGLE = Preset(
    name="google",
    label="Google",
    issuers=(
        IssuerForm(
            "accounts",
            "ID tokens of service accounts",
            "https://accounts.google.com",
            "https://www.googleapis.com/oauth2/v3/certs",
            is_shared=True,
        ),
        IssuerForm(
            "self-signed",
            "Tokens a service account signs itself",
            "{email}",
            "https://www.googleapis.com/service_accounts/v1/jwk/{email}",
        ),
    ),
    # The metadata server returns the same token until shortly before it expires.
    replay_policy="reusable-until-exp",
    audience_advice="The caller that requests the token chooses it. Use the address of this server, never an audience "
    "that another service accepts.",
    claims=(
        immutable("sub", "The numeric id of the account; a new account with the same name has another id."),
        immutable("azp", "The same as sub for a service account; an application's id if a person logs in."),
        immutable("/google/compute_engine/project_number", "The project's number; a number, full format only."),
        immutable("/google/compute_engine/instance_id", "The machine; full format only."),
        renamable("/google/compute_engine/project_id", "The project's name; full format only."),
        renamable("email", "The account's address; it can be created again after it was deleted."),
        renamable("email_verified", "A boolean."),
        renamable("hd", "The domain of a person's account; it proves nothing about a service account."),
    ),
    bind=("sub", "azp"),
    pins=(Pin("sub", r"[0-9]{6,}"), Pin("azp", r"[0-9]{6,}")),
    subject_advice="sub never changes and can also be compared with a user's column.",
    traps=(
        "Everyone with a Google account gets tokens of this issuer. Email addresses and domains prove nothing, "
        "because both change hands.",
        "An azp that ends in apps.googleusercontent.com is an application: everyone who logs in to it has this value.",
        "https://www.googleapis.com/oauth2/v1/certs contains certificates, not a key set: use v3.",
        "The issuer accounts.google.com without https:// occurs in old tokens only.",
    ),
)

COGNITO = Preset(
    name="cognito",
    label="Amazon Cognito",
    issuers=(
        IssuerForm(
            "user-pool",
            "User pool",
            "https://cognito-idp.{region}.amazonaws.com/{user_pool_id}",
            "{issuer}/.well-known/jwks.json",
        ),
    ),
    audience_claim="client_id",
    is_audience_free=False,
    audience_advice="Access tokens have no aud. Enter the app client ids as accepted audiences; client_id is compared "
    "with them.",
    claims=(
        immutable("client_id", "The app client."),
        immutable("sub", "The same as client_id for client credentials."),
        renamable("token_use", "access or id."),
        renamable("scope", "RESOURCE_SERVER/SCOPE, several in one string."),
        renamable("version", "2, a number."),
        run_specific("jti", "The token."),
        run_specific("auth_time", "When the client authenticated."),
    ),
    bind=("token_use", "client_id", "scope"),
    subject_advice="The subject is the app client. The simplest setup is one user for each integration.",
    traps=(
        "Require token_use to be access: an ID token of the same pool belongs to a person.",
        "With resource binding, the token has an aud: then set the audience claim to aud.",
    ),
)

_AWS = "/https:~1~1sts.amazonaws.com~1"

AWS_STS = Preset(
    name="aws-sts",
    label="AWS (outbound identity federation)",
    issuers=(
        IssuerForm(
            "account",
            "Account",
            "https://{account_uuid}.tokens.sts.global.api.aws",
            "{issuer}/.well-known/jwks.json",
        ),
    ),
    algorithms=("RS256", "ES384"),
    audience_advice="aws sts get-web-identity-token --audience … Use the address of this server.",
    claims=(
        immutable(f"{_AWS}/aws_account", "The account's number, as a string."),
        immutable(f"{_AWS}/org_id", "The organization, o-…"),
        immutable(f"{_AWS}/principal_id", "The ARN of the principal."),
        renamable("sub", "The ARN of the role; a role that is created again has the same ARN."),
        renamable(f"{_AWS}/principal_tags", "An object of the principal's tags."),
        renamable(f"{_AWS}/source_region", "The region."),
        renamable(f"{_AWS}/request_tags", "Tags that the caller chooses: they prove nothing."),
        run_specific("jti", "The token."),
    ),
    bind=("sub", f"{_AWS}/aws_account"),
    traps=(
        "The caller chooses the request tags: never write a condition on them.",
        "The claims are in an object whose name is a URL: in a JSON pointer, write its slashes as ~1.",
    ),
)
