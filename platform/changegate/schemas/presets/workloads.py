"""Presets of workload identities: Kubernetes service accounts and SPIFFE."""

from changegate.schemas.presets.shape import IssuerForm, Preset, immutable, renamable, run_specific

_CLUSTER = "/kubernetes.io"
_KEYS_ADVICE = (
    "Clusters other than EKS, GKE, and AKS usually publish their key set to authenticated callers only: paste the "
    "output of kubectl get --raw /openid/v1/jwks as the key set, and repeat this after each rotation."
)

KUBERNETES = Preset(
    name="kubernetes",
    label="Kubernetes",
    issuers=(
        IssuerForm("eks", "Amazon EKS", "https://oidc.eks.{region}.amazonaws.com/id/{cluster_id}", "{issuer}/keys"),
        IssuerForm(
            "gke",
            "Google GKE",
            "https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}",
            "{issuer}/jwks",
        ),
        IssuerForm(
            "aks",
            "Azure AKS",
            "https://{region}.oic.prod-aks.azure.com/{tenant_id}/{issuer_id}/",
            "{issuer}/openid/v1/jwks",
        ),
        IssuerForm(
            "other",
            "Other clusters",
            "{issuer_url}",
            "{issuer}/openid/v1/jwks",
            is_telling=False,
        ),
    ),
    issuer_shape=r"https://kubernetes\.default\.svc(?:\.[a-z0-9-]+)*/?",
    keys_advice=_KEYS_ADVICE,
    # All containers of a pod read the same projected token for most of its lifetime.
    replay_policy="reusable-until-exp",
    audience_advice="Set it in the projected volume (serviceAccountToken.audience). Use the address of this server; "
    "tokens with the cluster's own audience are for its API server and may live for a year.",
    claims=(
        immutable(
            f"{_CLUSTER}/serviceaccount/uid",
            "The uid of the service account; an account that is created again has another.",
        ),
        renamable("sub", "system:serviceaccount:NAMESPACE:NAME."),
        renamable(f"{_CLUSTER}/namespace", "The namespace."),
        renamable(f"{_CLUSTER}/serviceaccount/name", "The service account's name."),
        renamable(f"{_CLUSTER}/node/name", "The node."),
        run_specific(f"{_CLUSTER}/pod/name", "The pod."),
        run_specific(f"{_CLUSTER}/pod/uid", "The pod."),
        run_specific("jti", "The token; since Kubernetes 1.30."),
    ),
    bind=("sub", f"{_CLUSTER}/serviceaccount/uid"),
    subject_advice="sub names the service account and can also be compared with a user's column.",
    traps=(
        _KEYS_ADVICE,
        "Many clusters have the issuer https://kubernetes.default.svc.cluster.local; only their keys differ.",
        "The issuer of AKS ends with a slash.",
        "Tokens from secrets (issuer kubernetes/serviceaccount) never expire and are refused.",
        "Set expirationSeconds to an hour at most.",
    ),
)

SPIFFE = Preset(
    name="spiffe",
    label="SPIFFE (JWT-SVID)",
    issuers=(
        IssuerForm(
            "oidc-discovery",
            "SPIRE OIDC discovery provider",
            "https://{host}",
            "{issuer}/keys",
            is_telling=False,
        ),
    ),
    algorithms=("RS256", "ES256", "ES384"),
    # The agent caches a JWT-SVID for half of its lifetime.
    replay_policy="reusable-until-exp",
    max_assertion_lifetime_seconds=900,
    audience_advice="The workload requests it: spire-agent api fetch jwt -audience … Use the address of this server.",
    claims=(renamable("sub", "The SPIFFE ID, spiffe://TRUST_DOMAIN/PATH; as stable as its registration entry."),),
    bind=("sub",),
    subject_advice="sub is the SPIFFE ID and can also be compared with a user's column.",
    traps=(
        "A JWT-SVID may have no iss and is then refused: set jwt_issuer in the SPIRE server.",
        "Keys of a federation bundle have the use jwt-svid, which is not accepted as sig: use the discovery "
        "provider's /keys.",
        "A SPIFFE ID is compared exactly: trust domains are in lower case, paths are case-sensitive.",
    ),
)
