"""The home page: what waits for the user, changes by state, and integrations."""

from flask import Blueprint, render_template

from changegate.console.guards import caller, require_login
from changegate.console.my_work import count_work
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.integrations.integrations import list_integrations
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.reading.aggregates import Aggregation, group_records
from changegate.services.tables.registry import get_table

bp = Blueprint("home", __name__)
bp.before_request(require_login)


@bp.get("/")
def home_view() -> str:
    """Show the counts."""
    manages_integrations = caller().permissions.has_role(INTEGRATION_ADMINISTRATORS)
    by_state = _count_by_state()
    counts = [(state, label, by_state.get(state, 0)) for state, label in CHANGE_STATES.items()]
    return render_template(
        "console/home.html",
        work=count_work(),
        counts=counts,
        total=sum(count for _, _, count in counts),
        integrations=list_integrations() if manages_integrations else None,
    )


def _count_by_state() -> dict[str, int]:
    asked = Aggregation(counts=True, group_by=("state",))
    groups = group_records(get_table("change_request"), caller(), EncodedQuery(), asked)
    return {group["groupby_fields"][0]["value"]: int(group["stats"]["count"]) for group in groups}
