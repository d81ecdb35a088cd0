"""What the dashboard shows: groups of records, by their table, query, and field."""

from collections.abc import Callable
from dataclasses import dataclass

# How far back figures of closed and created changes go.
RECENT = "@dayofweek@ago@90"
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


CHARTS = (
    ChartDefinition("state", "Open changes by state", "change_request", "active=true", "state"),
    ChartDefinition("type", "Open changes by type", "change_request", "active=true", "type"),
    ChartDefinition("risk", "Open changes by risk", "change_request", "active=true", "risk"),
    ChartDefinition(
        "group", "Open changes by group", "change_request", "active=true", "assignment_group", is_ranked=True
    ),
    ChartDefinition(
        "approver",
        "Approvals that wait, by approver",
        "sysapproval_approver",
        "state=requested^asked_by_policy=true",
        "approver",
        is_ranked=True,
    ),
    ChartDefinition("outcome", "Closed in 90 days, by outcome", "change_request", CLOSED_RECENTLY, "close_code"),
)
PIPELINES = ChartDefinition(
    "pipeline",
    "Created in 90 days, by pipeline",
    "change_request",
    f"{CREATED_RECENTLY}^source_repositoryISNOTEMPTY",
    "source_repository",
    is_ranked=True,
)


@dataclass(frozen=True, slots=True)
class NumberDefinition:
    """A number: the recently created changes whose value of a field `is_counted`, as the condition of its list says."""

    label: str
    field: str
    condition: str
    is_counted: Callable[[str], bool]


CREATED = (
    NumberDefinition("Created by people in 90 days", "oauth_entity", "ISEMPTY", "".__eq__),
    NumberDefinition("Created by automation in 90 days", "oauth_entity", "ISNOTEMPTY", bool),
    NumberDefinition("Unauthorized in 90 days", "unauthorized", "=true", "true".__eq__),
)
ON_HOLD = ("On hold", "active=true^on_hold=true")
