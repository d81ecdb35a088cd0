"""Presets of build services: CircleCI, Buildkite, HCP Terraform, Jenkins."""

from changegate.schemas.presets.placeholders import UUID
from changegate.schemas.presets.shape import IssuerForm, Pin, Preset, immutable, renamable, run_specific

_UUID = "a UUID"
_BUILDKITE = "The settings page in Buildkite shows it, as does a token."
_TERRAFORM = "The settings page in HCP Terraform shows it, as does a token."

CIRCLECI = Preset(
    name="circleci",
    label="CircleCI",
    issuers=(
        IssuerForm(
            "cloud",
            "CircleCI cloud",
            "https://oidc.circleci.com/org/{organization_id}",
            "{issuer}/.well-known/jwks-pub.json",
        ),
    ),
    replay_policy="once-if-present",
    audience_advice="The tokens in the environment have the organization's UUID as audience. For a token with the "
    'address of this server, the job runs circleci run oidc get --claims \'{"aud": "…"}\'.',
    claims=(
        immutable("oidc.circleci.com/org-id", "The organization."),
        immutable("oidc.circleci.com/project-id", "The project; builds of forks have the same value."),
        immutable("oidc.circleci.com/context-ids", "A list of the contexts that the job uses."),
        immutable("oidc.circleci.com/pipeline-definition-id", "The pipeline's definition."),
        renamable("oidc.circleci.com/vcs-origin", "The repository that the code comes from; for a fork, the fork."),
        renamable("oidc.circleci.com/vcs-ref", "The ref, such as refs/heads/main."),
        renamable("oidc.circleci.com/ssh-rerun", "Whether a person may be logged in to the job; a boolean."),
        renamable("sub", "Organization, project, and the user who started it; the V2 token appends origin and ref."),
        run_specific("oidc.circleci.com/pipeline-id", "The pipeline's run."),
        run_specific("oidc.circleci.com/workflow-id", "The workflow's run."),
        run_specific("oidc.circleci.com/job-id", "The job's run."),
    ),
    bind=(
        "oidc.circleci.com/project-id",
        "oidc.circleci.com/vcs-origin",
        "oidc.circleci.com/vcs-ref",
        "oidc.circleci.com/ssh-rerun",
    ),
    traps=(
        "A pull request from a fork may get a token of your project if secrets are passed to forks: add a condition "
        "on vcs-origin.",
        "A person logged in to a job rerun with SSH can read the token: require ssh-rerun to be the boolean false.",
        "The names of the claims contain slashes and dots; write them as they are, not as a JSON pointer.",
        "sub contains the user who pushed, so it differs between runs.",
    ),
)

BUILDKITE = Preset(
    name="buildkite",
    label="Buildkite",
    issuers=(
        IssuerForm(
            "buildkite.com",
            "Buildkite",
            "https://agent.buildkite.com",
            "{issuer}/.well-known/jwks",
            is_shared=True,
        ),
    ),
    replay_policy="once-if-present",
    max_assertion_lifetime_seconds=600,
    audience_advice="The step requests it: buildkite-agent oidc request-token --audience … The default, "
    "https://buildkite.com/ORGANIZATION, is also in tokens for other services.",
    claims=(
        immutable("organization_id", "The organization; only with --claim organization_id."),
        immutable("pipeline_id", "The pipeline; only with --claim pipeline_id."),
        immutable("cluster_id", "The cluster; only with --claim cluster_id."),
        immutable("queue_id", "The queue; only with --claim queue_id."),
        renamable("organization_slug", "The organization's name; others can take a name that is no longer in use."),
        renamable("pipeline_slug", "The pipeline's name."),
        renamable("build_branch", "The branch."),
        renamable("build_tag", "The tag, or null."),
        renamable("build_source", "What started the build: webhook, ui, api, schedule, trigger_job."),
        renamable("step_key", "The step's key, or null."),
        renamable("runner_environment", "Who hosts the runner: buildkite-hosted or self-hosted."),
        run_specific("sub", "Names, ref, commit, and step; a single id with --subject-claim."),
        run_specific("build_number", "The build."),
        run_specific("build_commit", "The commit."),
        run_specific("job_id", "The job."),
        run_specific("agent_id", "The agent."),
    ),
    bind=("organization_id", "pipeline_id", "build_branch"),
    pins=(
        Pin("organization_id", UUID, _UUID, _BUILDKITE),
        Pin("pipeline_id", UUID, _UUID, _BUILDKITE),
        Pin("cluster_id", UUID, _UUID, _BUILDKITE),
        Pin("queue_id", UUID, _UUID, _BUILDKITE),
        # A subject that is only an ID comes from --subject-claim; Buildkite assigns these IDs.
        Pin("sub", UUID),
    ),
    traps=(
        "The ids are in the token only if the step requests them: --claim organization_id --claim pipeline_id.",
        "sub changes with every commit, so it cannot identify a user, unless the step uses --subject-claim.",
        "Builds of pull requests from forks run in your pipeline if you allow them: add a condition on build_branch, "
        "and keep forks off the agents that may request tokens.",
    ),
)

HCP_TERRAFORM = Preset(
    name="hcp-terraform",
    label="HCP Terraform",
    issuers=(
        IssuerForm(
            "app.terraform.io",
            "HCP Terraform",
            "https://app.terraform.io",
            "{issuer}/.well-known/jwks",
            is_shared=True,
        ),
        IssuerForm(
            "app.eu.terraform.io",
            "HCP Terraform Europe",
            "https://app.eu.terraform.io",
            "{issuer}/.well-known/jwks",
            is_shared=True,
        ),
        IssuerForm(
            "enterprise",
            "Terraform Enterprise",
            "https://{host}",
            "{issuer}/.well-known/jwks",
            is_telling=False,
        ),
    ),
    max_assertion_lifetime_seconds=86_400,
    audience_advice="Set the variable TFC_WORKLOAD_IDENTITY_AUDIENCE_CHANGEGATE of the workspace to the address of "
    "this server; the token is then in TFC_WORKLOAD_IDENTITY_TOKEN_CHANGEGATE.",
    claims=(
        immutable("terraform_organization_id", "The organization, org-…"),
        immutable("terraform_project_id", "The project, prj-…"),
        immutable("terraform_workspace_id", "The workspace, ws-…"),
        renamable(
            "terraform_organization_name", "The organization's name; others can take a name that is no longer in use."
        ),
        renamable("terraform_project_name", "The project's name."),
        renamable("terraform_workspace_name", "The workspace's name."),
        renamable("terraform_full_workspace", "All names and the phase."),
        renamable("terraform_run_phase", "plan or apply."),
        renamable("sub", "organization:…:project:…:workspace:…:run_phase:…, all names."),
        run_specific("terraform_run_id", "The run."),
        run_specific("jti", "The token."),
    ),
    bind=("terraform_organization_id", "terraform_workspace_id", "terraform_run_phase"),
    pins=(
        Pin("terraform_organization_id", "org-[A-Za-z0-9]+", "an ID that begins with org-", _TERRAFORM),
        Pin("terraform_project_id", "prj-[A-Za-z0-9]+", "an ID that begins with prj-", _TERRAFORM),
        Pin("terraform_workspace_id", "ws-[A-Za-z0-9]+", "an ID that begins with ws-", _TERRAFORM),
    ),
    traps=(
        "A plan may run code from a pull request: require terraform_run_phase to be apply wherever this matters.",
        "The token is valid for as long as the phase may run, up to a day on HCP Terraform: exchange it once.",
    ),
)

JENKINS = Preset(
    name="jenkins",
    label="Jenkins (OpenID Connect Provider plugin)",
    issuers=(
        IssuerForm("controller", "Controller", "https://{base}/oidc", "{issuer}/jwks", is_telling=False),
        IssuerForm("folder", "Folder", "https://{base}/job/{folder}/oidc", "{issuer}/jwks"),
    ),
    replay_policy="once-if-present",
    audience_advice="Enter it in the credential, kind OpenID Connect id token. Use the address of this server.",
    claims=(
        renamable("sub", "The job's URL, unless an administrator has changed the template."),
        run_specific("build_number", "The build."),
    ),
    bind=("sub",),
    traps=(
        "In plugin versions up to 96.vee8ed882ec4d, a job can override claims through its environment "
        "(CVE-2025-47884): update the plugin first.",
        "If this server cannot reach the controller, paste its key set: copy ISSUER/jwks into Key set.",
        "Administrators can change the claim templates: sub is only as reliable as these templates.",
    ),
)
