"""The layouts of snippets: the file of each provider or client, its template, and what has to be set up first."""

from dataclasses import dataclass

IN_A_SHELL = "in a shell"
_KEPT = "CLIENT_SECRET holds the client secret."
_PROVIDER_CLIENT = "PROVIDER_CLIENT_ID and PROVIDER_CLIENT_SECRET are those of the client at the provider."
_ASSERTION = "ASSERTION holds a token of the identity provider."


@dataclass(frozen=True, slots=True)
class SnippetLayout:
    """A snippet of a provider or, if `is_client`, of a client program that is given the token in a variable.

    `source` is the template, in `sources/`, of the commands that put the token into ASSERTION. `run` is the variable
    with the ID of the run. `setup` and `storage` are sentences; the latter is about where to store a secret.
    """

    name: str
    label: str
    file: str = IN_A_SHELL
    template: str = "shell.sh.j2"
    source: str | None = None
    setup: str = ""
    run: str | None = None
    storage: str = _KEPT
    is_client: bool = False


def _client(name: str, label: str, file: str, template: str, more: str = "") -> SnippetLayout:
    return SnippetLayout(name, label, file, template, setup=f"{_ASSERTION}{more}", is_client=True)


def _client_credentials(name: str, label: str) -> SnippetLayout:
    return SnippetLayout(name, label, source=f"{name}.sh.j2", setup=_PROVIDER_CLIENT)


SNIPPET_LAYOUTS = {
    layout.name: layout
    for layout in (
        SnippetLayout(
            "github-actions",
            "GitHub Actions",
            ".github/workflows/change.yml",
            "github-actions.yml.j2",
            "github-actions.sh.j2",
            storage="Store the client secret as the secret CLIENT_SECRET of the repository or environment.",
            run="GITHUB_RUN_ID",
        ),
        SnippetLayout(
            "gitlab",
            "GitLab CI",
            ".gitlab-ci.yml",
            "gitlab.yml.j2",
            storage="Store the client secret as the CI/CD variable CLIENT_SECRET, masked and protected.",
            run="CI_PIPELINE_ID",
        ),
        SnippetLayout(
            "jenkins",
            "Jenkins",
            "Jenkinsfile",
            "jenkins.groovy.j2",
            setup="Add a credential OpenID Connect id token with the ID changegate and the accepted audience.",
            storage="Store the client secret as the secret text changegate-secret.",
            run="BUILD_TAG",
        ),
        SnippetLayout(
            "azure-pipelines",
            "Azure Pipelines",
            "azure-pipelines.yml",
            "azure-pipelines.yml.j2",
            "azure-pipelines.sh.j2",
            setup="Azure Pipelines issues tokens for the audience api://AzureADTokenExchange only: accept it, and let "
            "no application in Entra ID trust this pipeline.",
            storage="Store the client secret as the secret variable CLIENT_SECRET of the pipeline.",
            run="BUILD_BUILDID",
        ),
        SnippetLayout(
            "kubernetes",
            "Kubernetes",
            "pod.yml",
            "kubernetes.yml.j2",
            "kubernetes.sh.j2",
            setup="Run kubectl create --filename pod.yml.",
            storage="Store the client secret as client-secret in the secret changegate.",
        ),
        SnippetLayout(
            "circleci",
            "CircleCI",
            ".circleci/config.yml",
            "circleci.yml.j2",
            "circleci.sh.j2",
            run="CIRCLE_WORKFLOW_ID",
        ),
        SnippetLayout(
            "buildkite",
            "Buildkite",
            ".buildkite/pipeline.yml",
            "buildkite.yml.j2",
            "buildkite.sh.j2",
            run="BUILDKITE_BUILD_ID",
        ),
        SnippetLayout(
            "bitbucket",
            "Bitbucket Pipelines",
            "bitbucket-pipelines.yml",
            "bitbucket.yml.j2",
            "bitbucket.sh.j2",
            run="BITBUCKET_PIPELINE_UUID",
        ),
        SnippetLayout(
            "hcp-terraform",
            "HCP Terraform",
            "in a run",
            source="hcp-terraform.sh.j2",
            setup="Set the workspace's variable TFC_WORKLOAD_IDENTITY_AUDIENCE_CHANGEGATE to the accepted audience.",
            run="TFC_RUN_ID",
        ),
        SnippetLayout(
            "entra-id",
            "Azure, managed identity",
            source="entra-id.sh.j2",
            setup="RESOURCE is the App ID URI of the application that represents this server.",
        ),
        SnippetLayout("google", "Google Cloud", source="google.sh.j2"),
        SnippetLayout("spiffe", "SPIRE", source="spiffe.sh.j2"),
        SnippetLayout("aws-sts", "AWS", source="aws-sts.sh.j2"),
        _client_credentials("okta", "Okta"),
        _client_credentials("auth0", "Auth0"),
        _client_credentials("keycloak", "Keycloak"),
        _client_credentials("pingfederate", "PingFederate"),
        _client_credentials("pingone", "PingOne"),
        _client_credentials("cognito", "Amazon Cognito"),
        _client("shell", "Shell (curl)", "", "shell.sh.j2"),
        _client("powershell", "PowerShell", "create-change.ps1", "powershell.ps1.j2"),
        _client("python", "Python", "create_change.py", "python.py.j2", " It needs the package requests."),
        _client("pysnc", "PySNC", "create_change.py", "pysnc.py.j2", " PySNC requires an https address."),
        _client("ansible", "Ansible", "create-change.yml", "ansible.yml.j2"),
    )
}
# Offered for providers other than their own, since an integration can have the wrong preset, or none.
PIPELINES = (
    *("github-actions", "gitlab", "jenkins", "azure-pipelines"),
    *("kubernetes", "circleci", "buildkite", "bitbucket"),
)
# Layouts that also fit a provider, after its own.
ALSO_FITTING = {"entra-id": ("azure-pipelines",)}
