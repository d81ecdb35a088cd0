"""Tokens in the layouts of the demo identity provider, with the conditions of an administrator and foreign tokens."""

from typing import Any

from tests.support.provider_tokens import CHANGEGATE, ProviderToken, after, claims_of_layout

_UUID = "0184990a-477b-4fa8-9968-{:012d}"
TENANT, OTHER_TENANT = _UUID.format(1), _UUID.format(2)
OBJECT, OTHER_OBJECT = _UUID.format(3), _UUID.format(4)
APPLICATION, OTHER_APPLICATION = _UUID.format(5), _UUID.format(6)

GITHUB_CLAIMS: dict[str, Any] = claims_of_layout("github-actions")
GITHUB_HEAD = {"typ": "JWT", "x5t": "eBZ_cn3sXYAd0ch4THBKHIgOwOE", "kid": "78167F727DEC5D801DD1C8784C704A1C880EC0E1"}
GITHUB = ProviderToken(
    preset="github-actions",
    head=GITHUB_HEAD,
    claims=GITHUB_CLAIMS,
    conditions=(
        "repository_id equals 613905472",
        "repository_owner_id equals 9919",
        "environment equals production",
        "event_name one_of push, workflow_dispatch",
        "job_workflow_ref equals acme/workflows/.github/workflows/deploy.yml@refs/tags/v3",
    ),
    foreign={
        "the same names, taken over": (
            {"repository_id": "888000111", "repository_owner_id": "12345678"},
            {"claim repository_id", "claim repository_owner_id"},
        ),
        "another repository of the owner": (
            {
                "repository": "acme/sandbox",
                "repository_id": "700000001",
                "sub": "repo:acme/sandbox:ref:refs/heads/main",
            },
            {"claim repository_id"},
        ),
        "numbers that are no strings": ({"repository_id": 613905472}, {"claim repository_id"}),
        "code of a fork's pull request": ({"event_name": "pull_request_target"}, {"claim event_name"}),
        "a run that follows a fork's": ({"event_name": "workflow_run"}, {"claim event_name"}),
        "a job outside the environment": (
            {"environment": ..., "sub": "repo:acme/shop:ref:refs/heads/main"},
            {"claim environment"},
        ),
        "a workflow of its own": (
            {"job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main"},
            {"claim job_workflow_ref"},
        ),
        "for another service": ({"aud": "https://github.com/acme"}, {"aud"}),
    },
)
GITHUB_IMMUTABLE_SUBJECT = ProviderToken(
    preset="github-actions",
    head=GITHUB_HEAD,
    claims=GITHUB_CLAIMS | {"sub": "repo:acme@9919/shop@613905472:environment:production"},
    conditions=("sub equals repo:acme@9919/shop@613905472:environment:production",),
    foreign={
        "the same names, taken over": ({"sub": "repo:acme@1/shop@2:environment:production"}, {"claim sub"}),
        "a subject without numbers": ({"sub": "repo:acme/shop:environment:production"}, {"claim sub"}),
    },
)
GITHUB_ENTERPRISE = ProviderToken(
    preset="github-actions",
    place="enterprise-issuer",
    parts={"enterprise": "acme-inc"},
    head=GITHUB_HEAD,
    claims=GITHUB_CLAIMS | {"enterprise": "acme-inc", "enterprise_id": "4711"},
    conditions=("enterprise_id equals 4711", "repository glob acme/*"),
    foreign={
        "another enterprise": ({"enterprise_id": "4712"}, {"claim enterprise_id"}),
        "an owner whose name begins alike": ({"repository": "acme-evil/shop"}, {"claim repository"}),
        "the issuer of everybody": ({"iss": "https://token.actions.githubusercontent.com"}, {"iss"}),
    },
)
GITLAB = ProviderToken(
    preset="gitlab",
    head={"kid": "4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE", "typ": "JWT"},
    claims=claims_of_layout("gitlab"),
    conditions=(
        "project_id equals 4711",
        "namespace_id equals 72",
        "ref_protected equals true",
        "ref equals main",
        "runner_id equals:number 1",
    ),
    foreign={
        "the same path, taken over": (
            {"project_id": "99", "namespace_id": "9"},
            {"claim project_id", "claim namespace_id"},
        ),
        "a fork's merge request in our project": (
            {"project_id": "90210", "namespace_id": "5", "project_path": "evil/shop", "ref_protected": "false"},
            {"claim project_id", "claim namespace_id", "claim ref_protected"},
        ),
        "an unprotected branch": (
            {"ref": "feature", "ref_protected": "false"},
            {"claim ref", "claim ref_protected"},
        ),
        "a boolean for the string": ({"ref_protected": True}, {"claim ref_protected"}),
        "a number for the string": ({"project_id": 4711}, {"claim project_id"}),
    },
)
GITLAB_SELF_MANAGED = ProviderToken(
    preset="gitlab",
    place="self-managed",
    parts={"host": "git.acme.example"},
    head=GITLAB.head,
    claims=GITLAB.claims,
    conditions=("project_id equals 4711",),
    foreign={"GitLab.com": ({"iss": "https://gitlab.com"}, {"iss"})},
)
_KUBERNETES: dict[str, Any] = claims_of_layout("kubernetes")
_KUBERNETES_RULES: dict[str, Any] = {
    "preset": "kubernetes",
    "head": {"kid": "5a3cf2c1d0b94e0c8f7b6a5d4e3f2a1b0c9d8e7f"},
    "claims": _KUBERNETES,
    "conditions": (
        "sub equals system:serviceaccount:deploy:release",
        f"/kubernetes.io/serviceaccount/uid equals {_UUID.format(9)}",
    ),
}
_UID = "claim /kubernetes.io/serviceaccount/uid"
_KUBERNETES_FOREIGN: dict[str, Any] = {
    "another service account": (
        {
            "sub": "system:serviceaccount:default:default",
            "kubernetes.io": {"serviceaccount": {"name": "default", "uid": _UUID.format(11)}},
        },
        {"claim sub", _UID},
    ),
    "one made again": ({"kubernetes.io": {"serviceaccount": {"uid": _UUID.format(12)}}}, {_UID}),
    "another cluster": ({"iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/0THER"}, {"iss"}),
    "for the cluster's API server": (
        {"aud": ["https://kubernetes.default.svc"], "exp": after(31_536_000)},
        {"aud", "lifetime"},
    ),
    "from a secret": (
        {"iss": "kubernetes/serviceaccount", "aud": ..., "exp": ..., "iat": ..., "kubernetes.io": ...},
        {"iss", "aud", "exp", "lifetime", "iat", _UID},
    ),
}
EKS = ProviderToken(
    **_KUBERNETES_RULES,
    place="eks",
    parts={"region": "eu-central-1", "cluster_id": "EXAMPLED539D4633E53DE1B71EXAMPLE"},
    foreign=_KUBERNETES_FOREIGN,
)
GKE = ProviderToken(
    **_KUBERNETES_RULES,
    place="gke",
    parts={"project": "acme-prod", "location": "europe-west3", "cluster": "deploy"},
    foreign=_KUBERNETES_FOREIGN,
)
AKS = ProviderToken(
    **_KUBERNETES_RULES,
    place="aks",
    parts={"region": "westeurope", "tenant_id": TENANT, "issuer_id": _UUID.format(13)},
    foreign=_KUBERNETES_FOREIGN
    | {
        "without the slash": (
            {"iss": f"https://westeurope.oic.prod-aks.azure.com/{TENANT}/{_UUID.format(13)}"},
            {"iss"},
        )
    },
)
# Entra's keys say no alg, and carry the certificate.
_ENTRA_KEY = {"alg": ..., "x5t": "imi0Y2z0dYKxBttAqK_Tt5hYBTk", "x5c": ["MIIC/TCCAeWgAwIBAgII"]}
_ENTRA_KID = "imi0Y2z0dYKxBttAqK_Tt5hYBTk"
ENTRA_V2 = ProviderToken(
    preset="entra-id",
    place="v2",
    parts={"tenant_id": TENANT},
    audiences=(_UUID.format(14),),
    head={"typ": "JWT", "kid": _ENTRA_KID},
    key_members=_ENTRA_KEY,
    claims=claims_of_layout("entra-id", _UUID.format(14)),
    conditions=(
        f"tid equals {TENANT}",
        f"oid equals {OBJECT}",
        f"azp equals {APPLICATION}",
        "roles contains Change.Create",
    ),
    foreign={
        "another tenant": (
            {"iss": f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0", "tid": OTHER_TENANT},
            {"iss", "claim tid"},
        ),
        "another tenant that says it is ours (CVE-2025-55241)": ({"tid": OTHER_TENANT}, {"claim tid"}),
        "another application with the same e-mail (nOAuth)": (
            {"oid": OTHER_OBJECT, "sub": OTHER_OBJECT, "azp": OTHER_APPLICATION, "email": "ops@acme.example"},
            {"claim oid", "claim azp"},
        ),
        "without a role": ({"roles": ...}, {"claim roles"}),
        "a version 1 token": (
            {"iss": f"https://sts.windows.net/{TENANT}/", "azp": ..., "appid": APPLICATION, "ver": "1.0"},
            {"iss", "claim azp"},
        ),
    },
)
ENTRA_V1 = ProviderToken(
    preset="entra-id",
    place="v1",
    parts={"tenant_id": TENANT},
    audiences=("api://changegate",),
    head={"typ": "JWT", "x5t": _ENTRA_KID, "kid": _ENTRA_KID},
    key_members=_ENTRA_KEY,
    claims=claims_of_layout("entra-id-v1", "api://changegate"),
    conditions=(f"oid equals {OBJECT}", f"appid equals {APPLICATION}"),
    foreign={
        "another managed identity": (
            {"oid": OTHER_OBJECT, "sub": OTHER_OBJECT, "appid": OTHER_APPLICATION},
            {"claim oid", "claim appid"},
        ),
        "without the slash": ({"iss": f"https://sts.windows.net/{TENANT}"}, {"iss"}),
    },
)
OKTA = ProviderToken(
    preset="okta",
    parts={"okta_domain": "acme.okta.com", "authorization_server": "aus1example"},
    audiences=("api://changegate",),
    head={"kid": "xhBfYGvLJ0OZ6Kx4Uw0pH0zTzV3cS8kq4mC1r7b2n9E"},
    claims=claims_of_layout("okta", "api://changegate"),
    conditions=("cid equals 0oa1example", "scp contains change.create"),
    foreign={
        "another application": ({"cid": "0oa2example", "sub": "0oa2example"}, {"claim cid"}),
        "another scope": ({"scp": ["change.create.not", "openid"]}, {"claim scp"}),
        "the org authorization server": ({"iss": "https://acme.okta.com"}, {"iss"}),
    },
)
AUTH0 = ProviderToken(
    preset="auth0",
    parts={"auth0_tenant": "acme.eu"},
    head={"typ": "JWT", "kid": "NkJCQzIyQzRBMEU4NjhGNUU4MzU4RkY0M0ZDQzkwOUQ0Q0VGNUMwQg"},
    claims=claims_of_layout("auth0"),
    conditions=("azp equals oPZ3exampleClient", "gty equals client-credentials"),
    foreign={
        "another application": ({"azp": "another", "sub": "another@clients"}, {"claim azp"}),
        "a person": (
            {"gty": "password", "sub": "auth0|1", "aud": [CHANGEGATE, "https://acme.eu.auth0.com/userinfo"]},
            {"claim gty", "aud"},
        ),
        "another tenant": ({"iss": "https://acme-evil.eu.auth0.com/"}, {"iss"}),
        "without the slash": ({"iss": "https://acme.eu.auth0.com"}, {"iss"}),
    },
)
AUTH0_RFC_9068 = ProviderToken(
    preset="auth0",
    parts={"auth0_tenant": "acme.eu"},
    settings={"required_typ": "at+jwt"},
    head={"typ": "at+jwt", "kid": "NkJCQzIyQzRBMEU4NjhGNUU4MzU4RkY0M0ZDQzkwOUQ0Q0VGNUMwQg"},
    claims=claims_of_layout("auth0-rfc-9068"),
    conditions=("client_id equals oPZ3exampleClient",),
    foreign={"another application": ({"client_id": "another", "sub": "another@clients"}, {"claim client_id"})},
)
KEYCLOAK = ProviderToken(
    preset="keycloak",
    parts={"base": "sso.acme.example", "realm": "automation"},
    head={"typ": "JWT", "kid": "m3hXQ1kVJr0bq2mZ8l5Yp7e4Jt6cN9sW0aF1dG2hI3k"},
    # The key that encrypts is in the same document.
    other_keys=({"kty": "RSA", "kid": "enc", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"},),
    claims=claims_of_layout("keycloak"),
    conditions=("azp equals release", "/realm_access/roles contains deployer"),
    foreign={
        "another client": ({"azp": "reports", "client_id": "reports", "sub": OTHER_OBJECT}, {"claim azp"}),
        "without the role": ({"realm_access": {"roles": ["deployers"]}}, {"claim /realm_access/roles"}),
        "another realm": ({"iss": "https://sso.acme.example/realms/sandbox"}, {"iss"}),
        "also for the account console": ({"aud": [CHANGEGATE, "account"]}, {"aud"}),
        "without the scope basic": ({"sub": ...}, {"sub"}),
    },
)
GOOGLE = ProviderToken(
    preset="google",
    head={"kid": "b2620d5e7f132b52afe8875cdf3776c064249d04", "typ": "JWT"},
    claims=claims_of_layout("google"),
    conditions=(
        "sub equals 110169484474386276334",
        "email_verified equals:boolean true",
        "/google/compute_engine/project_number equals:number 739419398126",
    ),
    foreign={
        "an account of the same name, made again": (
            {"sub": "115555555555555555555", "azp": "115555555555555555555"},
            {"claim sub"},
        ),
        "another project": (
            {"google": {"compute_engine": {"project_number": 1, "project_id": "evil"}}},
            {"claim /google/compute_engine/project_number"},
        ),
        "a person": (
            {"sub": "100000000000000000001", "hd": "acme.example", "google": ...},
            {"claim sub", "claim /google/compute_engine/project_number"},
        ),
        "an issuer without scheme": ({"iss": "accounts.google.com"}, {"iss"}),
    },
)
GOOGLE_SELF_SIGNED = ProviderToken(
    preset="google",
    place="self-signed",
    parts={"email": "bot@acme-prod.iam.gserviceaccount.com"},
    head={"typ": "JWT", "kid": "2bf8418b2963f366f5fefdd127b2cee07c887e65"},
    claims={"sub": "bot@acme-prod.iam.gserviceaccount.com", "aud": CHANGEGATE, "exp": after(3600)},
    conditions=("sub equals bot@acme-prod.iam.gserviceaccount.com",),
    foreign={
        "another account": (
            {"iss": "bot@evil.iam.gserviceaccount.com", "sub": "bot@evil.iam.gserviceaccount.com"},
            {"iss", "claim sub"},
        )
    },
)
SPIFFE = ProviderToken(
    preset="spiffe",
    parts={"host": "oidc.acme.example"},
    alg="ES256",
    head={"kid": "s3ZbQ0w1pO9eF7tR5uY2iA8dG6hJ4kL0", "typ": "JWT"},
    claims=claims_of_layout("spiffe"),
    conditions=("sub equals spiffe://acme.example/ns/deploy/sa/release",),
    foreign={
        "another workload": ({"sub": "spiffe://acme.example/ns/deploy/sa/web"}, {"claim sub"}),
        "another trust domain": ({"sub": "spiffe://evil.example/ns/deploy/sa/release"}, {"claim sub"}),
        "a path that goes on": ({"sub": "spiffe://acme.example/ns/deploy/sa/release/x"}, {"claim sub"}),
        "without an issuer": ({"iss": ...}, {"iss"}),
    },
)
PINGFEDERATE = ProviderToken(
    preset="pingfederate",
    parts={"host": "sso.acme.example:9031"},
    head={"kid": "k1_RS256", "pi.atm": "1"},
    claims=claims_of_layout("pingfederate"),
    conditions=("client_id equals release",),
    foreign={
        "another client": ({"client_id": "reports", "sub": "reports"}, {"claim client_id"}),
        "nothing turned on": (
            {"iss": ..., "aud": ..., "jti": ..., "iat": ..., "sub": ...},
            {"iss", "aud", "jti", "iat", "sub"},
        ),
    },
)
PINGONE = ProviderToken(
    preset="pingone",
    parts={"pingone_region": "eu", "environment_id": TENANT},
    head={"kid": "default"},
    claims=claims_of_layout("pingone"),
    conditions=(f"client_id equals {APPLICATION}",),
    foreign={
        "another application": ({"client_id": OTHER_APPLICATION, "sub": OTHER_APPLICATION}, {"claim client_id"}),
        "another environment": ({"iss": f"https://auth.pingone.eu/{OTHER_TENANT}/as"}, {"iss"}),
        "no sub mapped": ({"sub": ...}, {"sub"}),
    },
)
COGNITO = ProviderToken(
    preset="cognito",
    parts={"region": "eu-central-1", "user_pool_id": "eu-central-1_AbCdEf123"},
    audiences=("1example23456789",),
    head={"kid": "1234example="},
    claims=claims_of_layout("cognito", "1example23456789"),
    conditions=("token_use equals access", "scope equals changegate/create"),
    foreign={
        "another app client": ({"client_id": "2example", "sub": "2example"}, {"client_id"}),
        "an ID token, which has aud": (
            {"token_use": "id", "aud": "1example23456789", "client_id": ..., "scope": ...},
            {"client_id", "claim token_use", "claim scope"},
        ),
        "another pool": ({"iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Other"}, {"iss"}),
    },
)
_ACCOUNT = "/https:~1~1sts.amazonaws.com~1/aws_account"
AWS_STS = ProviderToken(
    preset="aws-sts",
    parts={"account_uuid": TENANT},
    alg="ES384",
    head={"kid": "EC384_0", "typ": "JWT"},
    claims=claims_of_layout("aws-sts"),
    conditions=("sub equals arn:aws:iam::123456789012:role/release", f"{_ACCOUNT} equals 123456789012"),
    foreign={
        "another role": ({"sub": "arn:aws:iam::123456789012:role/web"}, {"claim sub"}),
        "another account": (
            {
                "sub": "arn:aws:iam::210987654321:role/release",
                "https://sts.amazonaws.com/": {"aws_account": "210987654321"},
            },
            {"claim sub", f"claim {_ACCOUNT}"},
        ),
        "a tag that says so": (
            {"https://sts.amazonaws.com/": {"aws_account": ..., "request_tags": {"aws_account": "123456789012"}}},
            {f"claim {_ACCOUNT}"},
        ),
    },
)
_CIRCLE = "oidc.circleci.com"
CIRCLECI = ProviderToken(
    preset="circleci",
    parts={"organization_id": TENANT},
    head={"kid": _UUID.format(19), "typ": "JWT"},
    claims=claims_of_layout("circleci"),
    conditions=(
        f"{_CIRCLE}/project-id equals {OBJECT}",
        f"{_CIRCLE}/vcs-origin equals github.com/acme/shop",
        f"{_CIRCLE}/vcs-ref equals refs/heads/main",
        f"{_CIRCLE}/ssh-rerun equals:boolean false",
        f"{_CIRCLE}/context-ids contains {_UUID.format(20)}",
    ),
    foreign={
        "another project": ({f"{_CIRCLE}/project-id": OTHER_OBJECT}, {f"claim {_CIRCLE}/project-id"}),
        "a fork's pull request": (
            {f"{_CIRCLE}/vcs-origin": "github.com/evil/shop", f"{_CIRCLE}/vcs-ref": "refs/pull/7/head"},
            {f"claim {_CIRCLE}/vcs-origin", f"claim {_CIRCLE}/vcs-ref"},
        ),
        "a rerun with SSH": ({f"{_CIRCLE}/ssh-rerun": True}, {f"claim {_CIRCLE}/ssh-rerun"}),
        "a job outside the context": ({f"{_CIRCLE}/context-ids": []}, {f"claim {_CIRCLE}/context-ids"}),
        "another organization": ({"iss": f"https://oidc.circleci.com/org/{OTHER_TENANT}"}, {"iss"}),
    },
)
BUILDKITE = ProviderToken(
    preset="buildkite",
    head={"typ": "JWT", "kid": "d2b6a3f1c9e8"},
    claims=claims_of_layout("buildkite"),
    conditions=(
        f"organization_id equals {TENANT}",
        f"pipeline_id equals {OBJECT}",
        "build_branch equals main",
    ),
    foreign={
        "the same slugs, taken over": (
            {"organization_id": OTHER_TENANT, "pipeline_id": OTHER_OBJECT},
            {"claim organization_id", "claim pipeline_id"},
        ),
        "ids that were not asked for": (
            {"organization_id": ..., "pipeline_id": ...},
            {"claim organization_id", "claim pipeline_id"},
        ),
        "a fork's pull request": ({"build_branch": "evil:main"}, {"claim build_branch"}),
    },
)
_TERRAFORM: dict[str, Any] = claims_of_layout("hcp-terraform")
_TERRAFORM_RULES: dict[str, Any] = {
    "preset": "hcp-terraform",
    "head": {"typ": "JWT", "kid": "j-fFp9evPJAzV5I2_58HY5UvdCK6Q4LLB1rnPOUfQAk"},
    "claims": _TERRAFORM,
    "conditions": (
        "terraform_organization_id equals org-GRNbCjYNpBB6NEBh",
        "terraform_workspace_id equals ws-mbsd5E3Ktt5Rg2Xm",
        "terraform_run_phase equals apply",
    ),
    "foreign": {
        "the same names, taken over": (
            {"terraform_organization_id": "org-evil", "terraform_workspace_id": "ws-evil"},
            {"claim terraform_organization_id", "claim terraform_workspace_id"},
        ),
        "a plan": (
            {
                "terraform_run_phase": "plan",
                "sub": "organization:acme:project:platform:workspace:shop:run_phase:plan",
            },
            {"claim terraform_run_phase"},
        ),
        "another installation": ({"iss": "https://tfe.evil.example"}, {"iss"}),
    },
}
HCP_TERRAFORM = ProviderToken(**_TERRAFORM_RULES)
HCP_TERRAFORM_EUROPE = ProviderToken(**_TERRAFORM_RULES, place="app.eu.terraform.io")
JENKINS = ProviderToken(
    preset="jenkins",
    parts={"base": "ci.acme.example/jenkins"},
    head={"kid": "changegate-token"},
    key_members={"alg": "RS256"},
    claims=claims_of_layout("jenkins"),
    conditions=("sub equals https://ci.acme.example/jenkins/job/shop/job/main/",),
    foreign={
        "another job": ({"sub": "https://ci.acme.example/jenkins/job/sandbox/"}, {"claim sub"}),
        "a folder's credential": ({"iss": "https://ci.acme.example/jenkins/job/sandbox/oidc"}, {"iss"}),
    },
)
BITBUCKET = ProviderToken(
    preset="bitbucket",
    parts={"workspace": "acme"},
    head={"typ": "JWT", "kid": "0dd06a47-6cb2-4b0c-bd29-6fd2b1a1a0c8"},
    claims=claims_of_layout("bitbucket"),
    conditions=(
        f"workspaceUuid equals {{{TENANT}}}",
        f"repositoryUuid equals {{{OBJECT}}}",
        f"deploymentEnvironmentUuid equals {{{_UUID.format(28)}}}",
    ),
    foreign={
        "another repository": ({"repositoryUuid": f"{{{OTHER_OBJECT}}}"}, {"claim repositoryUuid"}),
        "a workspace of the same name": ({"workspaceUuid": f"{{{OTHER_TENANT}}}"}, {"claim workspaceUuid"}),
        "a step that deploys nothing": (
            {"deploymentEnvironmentUuid": ...},
            {"claim deploymentEnvironmentUuid"},
        ),
        "for several services": ({"aud": [CHANGEGATE, "https://other.example"]}, {"aud"}),
    },
)

LAYOUTS = {name.lower(): token for name, token in sorted(globals().items()) if isinstance(token, ProviderToken)}
