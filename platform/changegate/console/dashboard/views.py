"""The dashboard page."""

from datetime import timedelta

from flask import Blueprint, render_template

from changegate.console.dashboard.charts import CHARTS, NUMBERS, PIPELINES
from changegate.console.dashboard.figures import bars_of, lead_time, numbers_of, success_rate, success_rates
from changegate.console.guards import caller, require_login

bp = Blueprint("dashboard", __name__, url_prefix="/dashboard")
bp.before_request(require_login)


@bp.get("")
def page_view() -> str:
    """Show the figures of the changes that the user may see."""
    who = caller()
    return render_template(
        "console/dashboard.html",
        charts=[(chart, bars_of(chart, who)) for chart in CHARTS],
        pipelines=(PIPELINES, bars_of(PIPELINES, who)),
        rates=success_rates(PIPELINES, who),
        numbers=list(numbers_of(NUMBERS, who)),
        success=success_rate(who),
        lead_time=lead_time(who),
        in_words=_in_words,
    )


def _in_words(time: timedelta) -> str:
    """Return a time in its largest unit, such as 3.5 days."""
    seconds = time.total_seconds()
    for length, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"
