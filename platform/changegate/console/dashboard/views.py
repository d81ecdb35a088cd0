"""The dashboard page."""

from flask import Blueprint, render_template

from changegate.console.dashboard.charts import CHARTS, PIPELINES
from changegate.console.dashboard.figures import lead_time, numbers_of, read_charts, success_rate, success_rates
from changegate.console.guards import caller, require_login
from changegate.console.local_times import in_words

bp = Blueprint("dashboard", __name__, url_prefix="/dashboard")
bp.before_request(require_login)


@bp.get("")
def page_view() -> str:
    """Show the figures of the changes that the user may see."""
    who = caller()
    bars, numbers = read_charts((*CHARTS, PIPELINES), who), list(numbers_of(who))
    return render_template(
        "console/dashboard.html",
        has_figures=any(bars.values()) or any(count for _, count, _ in numbers),
        charts=[(chart, bars[chart.key]) for chart in CHARTS],
        pipelines=(PIPELINES, bars[PIPELINES.key]),
        rates=success_rates(PIPELINES, bars[PIPELINES.key], who),
        numbers=numbers,
        success=success_rate(bars["outcome"]),
        lead_time=lead_time(who),
        in_words=in_words,
    )
