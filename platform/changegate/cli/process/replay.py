"""`changegate process replay`: what edited policies would have led to."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import click
from sqlalchemy import select

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json
from changegate.cli.process.opening import SYSTEM, file_argument, read_records
from changegate.database import connection, rollback
from changegate.extensions import now
from changegate.models import SysUser
from changegate.models.change_request import CHANGE_STATES
from changegate.printable import printable
from changegate.services.approvals.claims import lower_bound
from changegate.services.process_files.applying import apply_records
from changegate.services.process_files.past_requests import ASKED, BY_CLAIMS, NOBODY, REJECTED_BY_CLAIMS, Verdict
from changegate.services.process_files.replaying import (
    CANCELED_BEFORE,
    OPEN,
    Replay,
    Replayed,
    read_policies,
    replay,
)

RESULTS = {
    BY_CLAIMS: "Approved by verified claims",
    REJECTED_BY_CLAIMS: "Rejected by verified claims",
    ASKED: "People were asked",
    NOBODY: "Nobody to ask",
}
DEFAULT_DAYS, MOST_DAYS = 90, 3650
MOST_PEOPLE = 10
_SUCCESSFUL = "successful"
Names = dict[str, str]


@click.command("replay")
@file_argument
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=DEFAULT_DAYS, help=f"Default: {DEFAULT_DAYS}.")
@click.option("--details", is_flag=True, help="List each request with another result, policy, or other people.")
@as_json
def replay_file(file: str, days: int, details: bool, as_json: bool) -> None:
    """Show what the policies of a file would have led to for past requests for approval; nothing is written."""
    records = read_records(file)
    with opened_instance():
        apply_records(records, SYSTEM)
        policies = read_policies()
        # Before the long part, which would otherwise keep other writers waiting.
        rollback()
        result = replay(policies, now(), days)
        names = _names_of_people(result.requests)
        rollback()
    if as_json:
        click.echo(json.dumps(_values(result, names)))
        return
    for line in [*_summary(result, names, days), *(_differences(result, names) if details else ())]:
        click.echo(printable(line))


def _summary(result: Replay, names: Names, days: int) -> Iterator[str]:
    requests = result.requests
    yield f"Requests for approval in the last {days} days: {len(requests)}, of {_count_changes(requests)} changes."
    if result.deleted:
        yield f"Requests of deleted changes, which are left out: {result.deleted}."
    yield f"{'':<30}{'decided':>10}{'edited':>10}"
    before = Counter(each.decided.result for each in requests)
    after = Counter(each.edited.result for each in requests)
    for key, label in RESULTS.items():
        yield f"{label:<30}{before[key]:>10}{after[key]:>10}"
    yield f"Another result, policy, or other people: {sum(each.differs for each in requests)}."
    yield from _summary_of_approved([each for each in requests if each.edited.result == BY_CLAIMS])
    yield from _summary_of_people(requests, names)
    for fact, count in sorted(Counter(fact for each in requests for fact in each.of_today).items()):
        yield f"{fact} was not recorded for {count} requests: its value of today was used."


def _summary_of_approved(approved: list[Replayed]) -> Iterator[str]:
    """Yield how the changes ended that would be approved by claims, with counts, since there may be few of them."""
    if not approved:
        return
    ended = {each.change: each.ended for each in approved}
    counts = Counter(ended.values())
    shown = ", ".join(f"{end} {counts[end]}" for end in sorted(counts, key=lambda end: (-counts[end], end)))
    yield f"Changes that the edited policies would approve by verified claims: {len(ended)} ({shown})."
    count = len(ended) - counts[OPEN] - counts[CANCELED_BEFORE]
    if count:
        successes = counts[_SUCCESSFUL]
        bound = int(100 * lower_bound(successes, count))
        rate = f"Success rate: at least {bound} % (95 % confidence)."
        yield f"Implemented: {count}, not successful: {count - successes}. {rate}"


def _summary_of_people(requests: Iterable[Replayed], names: Names) -> Iterator[str]:
    before = Counter(user for each in requests for user in each.decided.people)
    after = Counter(user for each in requests for user in each.edited.people)
    people = sorted({*before, *after}, key=lambda user: (-after[user], -before[user], names[user]))
    for user in people[:MOST_PEOPLE]:
        yield f"Asked: {names[user]}, {before[user]} times as decided, {after[user]} times as edited."
    if len(people) > MOST_PEOPLE:
        yield f"Asked: {len(people) - MOST_PEOPLE} more people."


def _differences(result: Replay, names: Names) -> Iterator[str]:
    for each in result.requests:
        if each.differs:
            place = f"{each.number} {CHANGE_STATES[str(each.stage)]}"
            yield f"{place}: {_shown(each.decided, names)} -> {_shown(each.edited, names)}"


def _shown(verdict: Verdict, names: Names) -> str:
    policy = f" ({verdict.policy})" if verdict.policy else ""
    people = ", ".join(names[user] for user in verdict.people)
    detail = people or verdict.reason
    return f"{RESULTS[verdict.result].lower()}{policy}" + (f": {detail}" if detail else "")


def _values(result: Replay, names: Names) -> dict[str, Any]:
    requests = [
        {
            "number": each.number,
            "state": each.stage,
            "at": each.at.isoformat(),
            "decided": _value(each.decided, names),
            "edited": _value(each.edited, names),
            "differs": each.differs,
            "ended": each.ended,
            "facts_of_today": sorted(each.of_today),
        }
        for each in result.requests
    ]
    return {"requests": requests, "deleted": result.deleted}


def _value(verdict: Verdict, names: Names) -> dict[str, Any]:
    people = [names[user] for user in verdict.people]
    return {"result": verdict.result, "policy": verdict.policy, "people": people, "reason": verdict.reason}


def _count_changes(requests: Iterable[Replayed]) -> int:
    return len({each.change for each in requests})


def _names_of_people(requests: Iterable[Replayed]) -> Names:
    """Return the user names of everyone who was or would be asked; the sys_id of a deleted user."""
    verdicts = [verdict for each in requests for verdict in (each.decided, each.edited)]
    names = {user: user for verdict in verdicts for user in verdict.people}
    rows = connection().execute(select(SysUser.sys_id, SysUser.user_name))
    return names | {sys_id: user_name for sys_id, user_name in rows if sys_id in names}
