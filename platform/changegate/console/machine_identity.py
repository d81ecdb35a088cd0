"""Machine Identity Console: the overview (docs/reference/inbound-integrations.md#console)."""

from flask import Blueprint, render_template

from changegate.console.exchange_chart import chart_of
from changegate.console.guards import require_integration_administrator
from changegate.extensions import now
from changegate.models.connection_type import PRIVATE_KEY_JWT, PUBLIC, REFRESH, SECRET, TYPES
from changegate.schemas import presets
from changegate.services.hygiene.overview import get_overview

METHODS = {name: one.short for name, one in TYPES.items()} | {REFRESH: "Refresh token"}
CLIENTS = {
    SECRET: "client secret",
    PRIVATE_KEY_JWT: "private_key_jwt",
    PUBLIC: "public client",
    None: "no client; the provider signs",
}
HOURS, DAYS = "%H:%M", "%m-%d"
bp = Blueprint("machine_identity", __name__, url_prefix="/machine-identity")
bp.before_request(require_integration_administrator)


@bp.get("")
def overview_view() -> str:
    """Show the tiles, the exchanges over time, and the methods of authentication."""
    overview = get_overview(now(), presets)
    spans = (
        ("hours", "Last 24 hours", overview.hours, HOURS, "hour"),
        ("days", "Last 30 days", overview.days, DAYS, "day"),
    )
    return render_template(
        "console/machine_identity.html",
        overview=overview,
        methods=METHODS,
        clients=CLIENTS,
        histories=[
            {"id": name, "title": title, "history": history, "chart": chart_of(history, shows, unit)}
            for name, title, history, shows, unit in spans
        ],
    )
