"""The dashboard page."""

from flask import Blueprint, render_template

from changegate.console.dashboard.charts import CHARTS, NUMBERS, PIPELINES
from changegate.console.dashboard.figures import bars_of, lead_time, numbers_of, success_rate, success_rates
from changegate.console.guards import caller, require_login
from changegate.console.local_times import in_words

bp = Blueprint("dashboard", __name__, url_prefix="/dashboard")
bp.before_request(require_login)


@bp.get("")
def page_view() -> str:
    """Show the figures of the changes that the user may see."""
    who = caller()
    bars = {chart.key: bars_of(chart, who) for chart in CHARTS}
    return render_template(
        "console/dashboard.html",
        charts=[(chart, bars[chart.key]) for chart in CHARTS],
        pipelines=(PIPELINES, bars_of(PIPELINES, who)),
        rates=success_rates(PIPELINES, who),
        numbers=list(numbers_of(NUMBERS, who)),
        success=success_rate(bars["outcome"]),
        lead_time=lead_time(who),
        in_words=in_words,
    )
