"""Presets of code hosts with pipelines: GitHub Actions, GitLab CI, Bitbucket Pipelines."""

from changegate.schemas.presets.shape import IssuerForm, Pin, Preset, immutable, renamable, run_specific

_DIGITS = r"[0-9]+"
_NUMBER = "a number"
_REPOSITORY = "gh api repos/OWNER/NAME --jq .id shows it."
_OWNER = "gh api users/OWNER --jq .id shows it."
_ENTERPRISE = "Copy it from a token of the enterprise, with Try a token."
_PROJECT = "The project's page in GitLab shows it as Project ID."
_NAMESPACE = "The group's page in GitLab shows it as Group ID."

GITHUB_ACTIONS = Preset(
    name="github-actions",
    label="GitHub Actions",
    issuers=(
        IssuerForm(
            "github.com",
            "github.com",
            "https://token.actions.githubusercontent.com",
            "{issuer}/.well-known/jwks",
            is_shared=True,
        ),
        IssuerForm(
            "enterprise-issuer",
            "github.com, with an enterprise's issuer",
            "https://token.actions.githubusercontent.com/{enterprise}",
            "{issuer}/.well-known/jwks",
            is_shared=True,
        ),
        IssuerForm(
            "enterprise-server",
            "Enterprise Server",
            "https://{host}/_services/token",
            "{issuer}/.well-known/jwks",
        ),
        IssuerForm(
            "data-residency",
            "ghe.com, with data residency",
            "https://token.actions.{subdomain}.ghe.com",
            "{issuer}/.well-known/jwks",
        ),
    ),
    max_assertion_lifetime_seconds=900,
    audience_advice="The job requests it: append &audience=… to its request. Use the address of this server; the "
    "default, https://github.com/OWNER, is also in tokens for other services.",
    claims=(
        immutable("repository_id", "The repository's number, as a string."),
        immutable("repository_owner_id", "The number of the owning user or organization, as a string."),
        immutable("enterprise_id", "The number of the enterprise, as a string; only where there is one."),
        immutable("actor_id", "The number of the user who caused the run, as a string."),
        renamable(
            "repository", "OWNER/NAME; both can be renamed, and others can take a name that is no longer in use."
        ),
        renamable("repository_owner", "The owner's name."),
        renamable("repository_visibility", "public, private, or internal."),
        renamable("sub", "The repository with its environment, or else its ref or the word pull_request."),
        renamable("environment", "The deployment environment, if the job names one."),
        renamable("ref", "refs/heads/… or refs/tags/…; for a pull request refs/pull/N/merge."),
        renamable("ref_type", "branch or tag."),
        renamable("ref_protected", 'Whether rules protect the ref: the string "true" or "false", not a boolean.'),
        renamable("event_name", "What started the run: push, workflow_dispatch, pull_request, and so on."),
        renamable("workflow", "The workflow's name, which its author chooses."),
        renamable("workflow_ref", "The workflow file that was started, with its ref."),
        renamable("job_workflow_ref", "The workflow file that contains the job; the reusable one, if any."),
        renamable("runner_environment", "github-hosted or self-hosted."),
        renamable("actor", "The name of the user who caused the run."),
        renamable("head_ref", "The source branch of a pull request."),
        renamable("base_ref", "The target branch of a pull request."),
        run_specific("sha", "The commit."),
        run_specific("workflow_sha", "The commit of the workflow file."),
        run_specific("job_workflow_sha", "The commit of the file that contains the job."),
        run_specific("run_id", "The run."),
        run_specific("run_number", "The run, counted per workflow."),
        run_specific("run_attempt", "The attempt."),
        run_specific("jti", "The token."),
    ),
    bind=("repository_id", "repository_owner_id", "environment", "ref", "ref_protected", "job_workflow_ref"),
    pins=(
        Pin("repository_id", _DIGITS, _NUMBER, _REPOSITORY),
        Pin("repository_owner_id", _DIGITS, _NUMBER, _OWNER),
        Pin("enterprise_id", _DIGITS, _NUMBER, _ENTERPRISE),
        # Names of owners and repositories cannot contain an @, so the numbers after it are GitHub's.
        Pin("sub", r"repo:[\w.-]+@[0-9]+/[\w.-]+@[0-9]+:.+"),
    ),
    traps=(
        "If a job names an environment, sub contains the environment and no ref; the claim ref is always present.",
        "Repositories created, renamed, or moved since July 2026 have numbers in sub (repo:OWNER@1/NAME@2:…). A "
        "condition without numbers does not match them; use the form that the repository sends.",
        "pull_request_target and workflow_run have the base branch's ref, even if foreign code started them: add a "
        "condition on event_name.",
        "job_workflow_ref and workflow_ref differ if a reusable workflow is called; pin that workflow to a tag or "
        "commit.",
        "repo:acme* would also match acme-evil; here a * never matches a / or a colon.",
    ),
)

GITLAB = Preset(
    name="gitlab",
    label="GitLab CI",
    issuers=(
        IssuerForm("gitlab.com", "GitLab.com", "https://gitlab.com", "{issuer}/oauth/discovery/keys", is_shared=True),
        IssuerForm(
            "self-managed",
            "Self-managed or Dedicated",
            "https://{host}",
            "{issuer}/oauth/discovery/keys",
            is_telling=False,
        ),
    ),
    audience_advice="The job declares it under id_tokens; there is no default. Use the address of this server.",
    claims=(
        immutable(
            "project_id", "The project's number, as a string; in a merge request from a fork, the fork's number."
        ),
        immutable("namespace_id", "The number of the group or user that owns the project, as a string."),
        immutable("job_project_id", "The number of the project that the job runs in, as a string."),
        immutable("job_namespace_id", "The number of that project's group or user, as a string."),
        immutable("user_id", "The number of the user who started the pipeline, as a string."),
        renamable("project_path", "GROUP/PROJECT."),
        renamable("namespace_path", "GROUP."),
        renamable("sub", "project_path:GROUP/PROJECT:ref_type:branch:ref:NAME; its parts can be configured."),
        renamable("ref", "The branch or tag, without refs/heads/."),
        renamable("ref_type", "branch or tag."),
        renamable("ref_path", "refs/heads/… or refs/tags/…"),
        renamable("ref_protected", 'Whether the ref is protected: the string "true" or "false", not a boolean.'),
        renamable("environment", "The environment, if the job names one."),
        renamable("environment_protected", 'Whether it is protected: the string "true" or "false".'),
        renamable("deployment_tier", "The tier of the environment, such as production."),
        renamable("ci_config_ref_uri", "The file that defines the pipeline, with its ref."),
        renamable("pipeline_source", "What started the pipeline: push, web, schedule, merge_request_event, and so on."),
        renamable("project_visibility", "public, internal, or private."),
        renamable("runner_environment", "gitlab-hosted or self-hosted."),
        renamable("user_login", "The user who started the pipeline."),
        renamable("user_email", "The user's address."),
        run_specific("sha", "The commit."),
        run_specific("ci_config_sha", "The commit of the file that defines the pipeline."),
        run_specific("pipeline_id", "The pipeline."),
        run_specific("job_id", "The job."),
        run_specific("runner_id", "The runner; a number, not a string."),
        run_specific("jti", "The token."),
    ),
    bind=("project_id", "namespace_id", "ref_protected", "ref", "ci_config_ref_uri"),
    pins=(
        Pin("project_id", _DIGITS, _NUMBER, _PROJECT),
        Pin("namespace_id", _DIGITS, _NUMBER, _NAMESPACE),
    ),
    traps=(
        "Numbers are strings, and so are true and false: conditions on them have the type string.",
        "The token lives as long as the job may run. Give the job a timeout of an hour at most, or raise the maximum "
        "assertion lifetime.",
        "There is one token for the whole job: exchange it once and keep the access token.",
        "Since GitLab 18.2.2, project_id is the fork in a merge request from a fork. Before, it was the project that "
        "the pipeline runs in: also require ref_protected to be the string true.",
        "job_project_id alone does not distinguish a fork's code from your own.",
    ),
)

BITBUCKET = Preset(
    name="bitbucket",
    label="Bitbucket Pipelines",
    issuers=(
        IssuerForm(
            "bitbucket.org",
            "Bitbucket Cloud",
            "https://api.bitbucket.org/2.0/workspaces/{workspace}/pipelines-config/identity/oidc",
            "{issuer}/keys.json",
        ),
    ),
    replay_policy="once-if-present",
    audience_advice="List it under oidc: audiences: of the step. The default is ari:cloud:bitbucket::workspace/… with "
    "the workspace's UUID. If a token has several audiences, turn on Allow additional audiences.",
    claims=(
        immutable("workspaceUuid", "The workspace, in braces."),
        immutable("repositoryUuid", "The repository, in braces."),
        immutable("deploymentEnvironmentUuid", "The deployment environment, in braces; only in deployment steps."),
        renamable("branchName", "The branch."),
        run_specific("sub", "The repository, the deployment environment if any, and the step."),
        run_specific("pipelineUuid", "The pipeline's run."),
        run_specific("stepUuid", "The step's run."),
    ),
    bind=("workspaceUuid", "repositoryUuid", "deploymentEnvironmentUuid", "branchName"),
    traps=(
        "The braces around the UUIDs are part of the values.",
        "sub changes with every step, so it cannot identify a user: use Run as.",
        "The issuer contains the workspace's name, which can change: also add a condition on workspaceUuid.",
    ),
)
