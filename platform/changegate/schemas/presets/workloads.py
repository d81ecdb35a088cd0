"""Identities of workloads: Kubernetes service accounts and SPIFFE."""

from changegate.schemas.presets.shape import IssuerForm, Preset, immutable, renamable, run_specific

_CLUSTER = "/kubernetes.io"

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
    # One projected file serves all containers of a pod for most of its life.
    replay_policy="reusable-until-exp",
    audience_advice="Name it in the projected volume (serviceAccountToken.audience). Choose the address of this desk; "
    "tokens with the cluster's own audience are for its API server, and may live for a year.",
    claims=(
        immutable(f"{_CLUSTER}/serviceaccount/uid", "This very service account; one made again has another."),
        renamable("sub", "system:serviceaccount:NAMESPACE:NAME."),
        renamable(f"{_CLUSTER}/namespace", "The namespace."),
        renamable(f"{_CLUSTER}/serviceaccount/name", "The service account's name."),
        renamable(f"{_CLUSTER}/node/name", "The node."),
        run_specific(f"{_CLUSTER}/pod/name", "The pod."),
        run_specific(f"{_CLUSTER}/pod/uid", "The pod."),
        run_specific("jti", "The token; since Kubernetes 1.30."),
    ),
    bind=("sub", f"{_CLUSTER}/serviceaccount/uid"),
    subject_advice="sub names the service account and can be compared with a user's column, too.",
    traps=(
        "Most clusters publish their key set to authenticated callers only: paste what kubectl get --raw "
        "/openid/v1/jwks prints into Key set, again after each rotation.",
        "Many clusters call themselves https://kubernetes.default.svc.cluster.local; only their keys differ.",
        "The issuer of AKS ends with a slash.",
        "Tokens from secrets (issuer kubernetes/serviceaccount) never expire and are refused.",
        "Ask for an expirationSeconds of an hour at most.",
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
    # The agent keeps a JWT-SVID and hands it out again for half of its life.
    replay_policy="reusable-until-exp",
    max_assertion_lifetime_seconds=900,
    audience_advice="The workload asks for it: spire-agent api fetch jwt -audience … Choose this desk's address.",
    claims=(renamable("sub", "The SPIFFE ID, spiffe://TRUST_DOMAIN/PATH; as lasting as its registration entry."),),
    bind=("sub",),
    subject_advice="sub is the SPIFFE ID and can be compared with a user's column, too.",
    traps=(
        "JWT-SVIDs need no iss, and without one they are refused: set jwt_issuer in the SPIRE server.",
        "Keys of a federation bundle have the use jwt-svid, which is not taken for sig: use the discovery "
        "provider's /keys.",
        "A SPIFFE ID is compared as it is: trust domains are in lower case, paths are case-sensitive.",
    ),
)
