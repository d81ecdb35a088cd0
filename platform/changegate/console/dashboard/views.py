"""The dashboard page."""

from flask import Blueprint, render_template

from changegate.console.dashboard.figures import bars_of, lead_time, numbers_of, success_rate, success_rates
from changegate.console.guards import caller, require_login
from changegate.console.local_times import in_words
from changegate.services.dashboard import find_figures
from changegate.services.dashboard.charts import CHARTS, PIPELINES

bp = Blueprint("dashboard", __name__, url_prefix="/dashboard")
bp.before_request(require_login)


@bp.get("")
def page_view() -> str:
    """Show the figures of the changes that the user may see."""
    figures, read_at = find_figures(caller())
    bars = {chart.key: bars_of(chart, figures.charts.get(chart.key, ())) for chart in (*CHARTS, PIPELINES)}
    return render_template(
        "console/dashboard.html",
        has_figures=any(bars.values()) or any(figures.numbers.values()),
        charts=[(chart, bars[chart.key]) for chart in CHARTS],
        pipelines=(PIPELINES, bars[PIPELINES.key]),
        rates=success_rates(PIPELINES, figures.closed),
        numbers=list(numbers_of(figures)),
        success=success_rate(figures.charts.get("outcome", ())),
        lead_time=lead_time(figures),
        in_words=in_words,
        read_at=read_at,
    )
