"""Machine Identity Console: the overview (oauth_jwt.md §1.2)."""

from flask import Blueprint, render_template

from changegate.console.exchange_chart import chart_of
from changegate.console.guards import require_integration_administrator
from changegate.console.providers import PROVIDERS
from changegate.extensions import now
from changegate.services.hygiene.overview import CONFIDENTIAL, PUBLIC, get_overview

CLIENTS = {PUBLIC: "Public client", CONFIDENTIAL: "Client that proves itself"}
HOURS, DAYS = "%H:%M", "%m-%d"
bp = Blueprint("machine_identity", __name__, url_prefix="/machine-identity")
bp.before_request(require_integration_administrator)


@bp.get("")
def overview_view() -> str:
    """Show the tiles, the exchanges over time, and how tokens were asked for."""
    overview = get_overview(now(), PROVIDERS)
    spans = (
        ("hours", "Last 24 hours", overview.hours, HOURS, "hour"),
        ("days", "Last 30 days", overview.days, DAYS, "day"),
    )
    return render_template(
        "console/machine_identity.html",
        overview=overview,
        clients=CLIENTS,
        histories=[
            {"id": name, "title": title, "history": history, "chart": chart_of(history, shows, unit)}
            for name, title, history, shows, unit in spans
        ],
    )
