"""The definitions of the dashboard's charts and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

# How far back figures of closed and created changes go.
RECENT = "@day@ago@90"
CREATED_RECENTLY = f"sys_created_onRELATIVEGE{RECENT}"
CLOSED_RECENTLY = f"state=3^closed_atRELATIVEGE{RECENT}"
SUCCESSFUL = "successful"


@dataclass(frozen=True, slots=True)
class ChartDefinition:
    """A chart: the records of a query by the values of a field, the most frequent first or in the order of values."""

    key: str
    title: str
    table: str
    query: str
    field: str
    is_ranked: bool = False


CHANGE_TABLE = "change_request"
CHARTS = (
    ChartDefinition("state", "Open changes by state", CHANGE_TABLE, "active=true", "state"),
    ChartDefinition("type", "Open changes by type", CHANGE_TABLE, "active=true", "type"),
    ChartDefinition("risk", "Open changes by risk", CHANGE_TABLE, "active=true", "risk"),
    ChartDefinition("group", "Open changes by group", CHANGE_TABLE, "active=true", "assignment_group", is_ranked=True),
    ChartDefinition(
        "approver",
        "Approvals that wait, by approver",
        "sysapproval_approver",
        "state=requested^asked_by_policy=true",
        "approver",
        is_ranked=True,
    ),
    ChartDefinition("outcome", "Closed in 90 days, by outcome", CHANGE_TABLE, CLOSED_RECENTLY, "close_code"),
)
PIPELINES = ChartDefinition(
    "pipeline",
    "Created in 90 days, by pipeline",
    CHANGE_TABLE,
    f"{CREATED_RECENTLY}^source_repositoryISNOTEMPTY",
    "source_repository",
    is_ranked=True,
)
ON_HOLD = "active=true^on_hold=true"
# Single numbers of changes: their labels and queries.
NUMBERS: Mapping[str, str] = {
    "Created by people in 90 days": f"{CREATED_RECENTLY}^oauth_entityISEMPTY",
    "Created by automation in 90 days": f"{CREATED_RECENTLY}^oauth_entityISNOTEMPTY",
    "Unauthorized in 90 days": f"{CREATED_RECENTLY}^unauthorized=true",
    "On hold": ON_HOLD,
}
