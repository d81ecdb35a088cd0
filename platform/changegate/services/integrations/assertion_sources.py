"""Commands that get a token from a workload's own identity provider, for providers without a snippet of their own."""

from dataclasses import dataclass

IN_A_SHELL = "in a shell"
_CLIENT_CREDENTIALS = """\
assertion=$(curl -sS --fail-with-body ENDPOINT \\
  --user "$PROVIDER_CLIENT_ID:$PROVIDER_CLIENT_SECRET" \\
  --data-urlencode grant_type=client_credentialsMORE | jq -r .access_token)
"""
_CLIENT = "PROVIDER_CLIENT_ID and PROVIDER_CLIENT_SECRET are those of the client at the provider."


@dataclass(frozen=True, slots=True)
class AssertionSource:
    """Commands that put a token into `$assertion`, within the `layout` of a file, indented by `spaces`.

    Placeholders are `{audience}` (quoted for a shell), `{listed}` (quoted for YAML), `{claims}`, and `{issuer}`, which
    is quoted for a shell and has no trailing slash. `escapes_dollars` is for providers that replace variables in files.
    """

    label: str
    command: str
    before: str = ""
    file: str = IN_A_SHELL
    layout: str = ""
    spaces: int = 0
    escapes_dollars: bool = False


def _client_credentials(label: str, endpoint: str, more: str = "") -> AssertionSource:
    asked = f" \\\n  --data-urlencode {more}" if more else ""
    return AssertionSource(label, _CLIENT_CREDENTIALS.replace("ENDPOINT", endpoint).replace("MORE", asked), _CLIENT)


ASSERTION_SOURCES = {
    "kubernetes": AssertionSource(
        "Kubernetes",
        "assertion=$(cat /var/run/changegate/token)\n",
        "Mount the volume at /var/run/changegate.",
        "in a container",
        "# volumes:\n#   - name: changegate\n#     projected:\n#       sources:\n#         - serviceAccountToken:\n"
        "#             path: token\n#             audience: {listed}\n#             expirationSeconds: 3600\n",
    ),
    "entra-id": AssertionSource(
        "Azure, managed identity",
        "assertion=$(curl -sS --fail-with-body -H Metadata:true --get \\\n"
        "  http://169.254.169.254/metadata/identity/oauth2/token --data api-version=2018-02-01 \\\n"
        '  --data-urlencode "resource=$RESOURCE" | jq -r .access_token)\n',
        "RESOURCE is the App ID URI of the application that stands for this server.",
    ),
    "google": AssertionSource(
        "Google Cloud",
        'assertion=$(curl -sS --fail-with-body -H "Metadata-Flavor: Google" --get \\\n'
        "  http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity \\\n"
        "  --data-urlencode audience={audience} --data format=full)\n",
    ),
    "okta": _client_credentials("Okta", "{issuer}/v1/token", 'scope="$PROVIDER_SCOPE"'),
    "auth0": _client_credentials("Auth0", "{issuer}/oauth/token", "audience={audience}"),
    "keycloak": _client_credentials("Keycloak", "{issuer}/protocol/openid-connect/token"),
    "pingfederate": _client_credentials("PingFederate", "{issuer}/as/token.oauth2"),
    "pingone": _client_credentials("PingOne", "{issuer}/token"),
    "cognito": _client_credentials("Amazon Cognito", '"https://$COGNITO_DOMAIN/oauth2/token"'),
    "spiffe": AssertionSource(
        "SPIRE",
        "assertion=$(spire-agent api fetch jwt -audience {audience} -output json | jq -r '.[0].svids[0].svid')\n",
    ),
    "aws-sts": AssertionSource(
        "AWS",
        "assertion=$(aws sts get-web-identity-token --audience {audience} --signing-algorithm ES384 \\\n"
        "  --duration-seconds 300 --query WebIdentityToken --output text)\n",
    ),
    "circleci": AssertionSource(
        "CircleCI",
        "assertion=$(circleci run oidc get --claims {claims})\n",
        file=".circleci/config.yml",
        layout="jobs:\n  create-change:\n    docker:\n      - image: cimg/base:current\n    steps:\n      - run: |\n",
        spaces=10,
    ),
    "buildkite": AssertionSource(
        "Buildkite",
        "assertion=$(buildkite-agent oidc request-token --audience {audience} \\\n"
        "  --claim organization_id --claim pipeline_id)\n",
        file=".buildkite/pipeline.yml",
        layout="steps:\n  - label: Create the change request\n    command: |\n",
        spaces=6,
        escapes_dollars=True,
    ),
    "hcp-terraform": AssertionSource(
        "HCP Terraform",
        'assertion="$TFC_WORKLOAD_IDENTITY_TOKEN_CHANGEGATE"\n',
        "The workspace's variable TFC_WORKLOAD_IDENTITY_AUDIENCE_CHANGEGATE is the audience.",
        "in a run",
    ),
    "bitbucket": AssertionSource(
        "Bitbucket Pipelines",
        'assertion="$BITBUCKET_STEP_OIDC_TOKEN"\n',
        file="bitbucket-pipelines.yml",
        layout="pipelines:\n  default:\n    - step:\n        oidc:\n          audiences:\n            - {listed}\n"
        "        script:\n          - |\n",
        spaces=12,
    ),
}
