"""The integration with a long report: a pipeline's claims, and conditions on five of them."""

from dataclasses import replace

from sqlalchemy import create_engine, select, update

from benchmarks.errors import BenchFailed
from benchmarks.product import Instance
from benchmarks.signing import Signer
from changegate.models import OAuthEntity, OAuthExchange
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.services.assertions.report import read_rows

# As many as a pipeline's token has, and of the same kinds.
CLAIMS = {
    "repository": "shop/checkout",
    "repository_id": "748201345",
    "repository_owner": "shop",
    "repository_owner_id": "65540181",
    "repository_visibility": "private",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "environment": "production",
    "workflow": "Deploy",
    "workflow_ref": "shop/checkout/.github/workflows/deploy.yml@refs/heads/main",
    "event_name": "push",
    "actor": "release-bot",
    "actor_id": "91822310",
    "run_id": "8827364510",
    "run_attempt": "1",
    "runner_environment": "github-hosted",
    "sha": "9c1d3a4e5f60718293a4b5c6d7e8f90112233445",
    "groups": ["deployers", "release"],
}
CONDITIONS = (
    {"claim": "repository_id", "operator": "equals", "value": CLAIMS["repository_id"]},
    {"claim": "ref", "operator": "glob", "value": "refs/heads/*"},
    {"claim": "environment", "operator": "one_of", "value": ["production", "staging"]},
    {"claim": "groups", "operator": "contains", "value_type": "list", "value": "release"},
    {"claim": "runner_environment", "operator": "equals", "value": "self-hosted", "report_only": True},
)


def pipeline_signer(signer: Signer) -> Signer:
    """Return a signer with the same keys whose assertions have the claims of a pipeline."""
    return replace(signer, prefix=f"{signer.prefix}-pipeline", more_claims=CLAIMS, signed={"RS256": [], "ES256": []})


def set_conditions(database_url: str, instance: Instance) -> None:
    """Store the conditions of an integration, as its form does."""
    conditions = ClaimConditionSchema(many=True).load([dict(condition) for condition in CONDITIONS])
    named = OAuthEntity.__table__.c.client_id == instance.client_id
    engine = create_engine(database_url)
    with engine.begin() as connection:
        changed = connection.execute(update(OAuthEntity.__table__).where(named).values(claim_conditions=conditions))
    engine.dispose()
    if changed.rowcount != 1:
        raise BenchFailed("The conditions found no integration.")


def stores_reports(database_url: str, instance: Instance) -> bool:
    """Return whether the latest exchange of an integration was stored with the outcome of every condition."""
    latest = (
        select(OAuthExchange.rules)
        .where(OAuthExchange.client_id == instance.client_id, OAuthExchange.is_accepted)
        .order_by(OAuthExchange.correlation_id.desc())
    )
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rules = connection.scalar(latest.limit(1))
    engine.dispose()
    checked = {result.rule for result in read_rows(rules or ())}
    return {f"claim {condition['claim']}" for condition in CONDITIONS} <= checked
