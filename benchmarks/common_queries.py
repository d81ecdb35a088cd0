"""The common queries of people, dashboards, and pipelines, as data."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from benchmarks.life import CLOSED, FIRST_NAMES, IMPLEMENT, NEW, Life, day_before, host_of, names_of
from benchmarks.past import sys_id_of

CHANGES, APPROVALS = "change_request", "sysapproval_approver"
PAGE_SIZE = 20
# How many times as long as a GET of one record each kind may take, in addition to the counting of its matches.
PAGE, TEXT, COUNTS = "page", "text", "counts"
MOST = {PAGE: 8.0, TEXT: 20.0, COUNTS: 40.0}


@dataclass(frozen=True)
class CommonQuery:
    """One query; `stats` are the parameters of an aggregate, and a query without them is a list."""

    name: str
    query: str
    table: str = CHANGES
    kind: str = PAGE
    stats: str = ""

    def path(self, offset: int = 0, limit: int = PAGE_SIZE) -> str:
        """Return the path of a page of the list, or of the aggregate."""
        query = {"sysparm_query": self.query}
        if self.stats:
            of_groups = {"sysparm_count": "true", "sysparm_group_by": self.stats}
            return f"/api/now/stats/{self.table}?{urlencode({**query, **of_groups})}"
        page = {"sysparm_limit": str(limit), "sysparm_offset": str(offset)} if limit else {}
        return f"/api/now/table/{self.table}?{urlencode({**query, **page})}"


def common_queries(life: Life) -> list[CommonQuery]:
    """Return all queries about the changes of a `Life`."""
    of_changes = (*_work(life), *_states(life), *_times(life), *_pipelines(life))
    return [*of_changes, *_approvals(life), *_texts(life), *_counts(life)]


def _work(life: Life) -> Iterator[CommonQuery]:
    person, group, small = life.users[40], life.groups[0], life.groups[-1]
    some = ",".join(life.groups[2:5])
    yield CommonQuery("person's open", f"active=true^assigned_to={person}^ORDERBYDESCsys_updated_on")
    yield CommonQuery("busiest person's open", f"active=true^assigned_to={life.users[0]}^ORDERBYDESCsys_updated_on")
    yield CommonQuery("person's all", f"assigned_to={person}^ORDERBYDESCsys_created_on")
    yield CommonQuery("requested by a person, open", f"active=true^requested_by={person}^ORDERBYDESCsys_created_on")
    yield CommonQuery("opened by a person", f"opened_by={person}^ORDERBYDESCsys_created_on")
    yield CommonQuery("largest group's open", f"active=true^assignment_group={group}^ORDERBYDESCsys_created_on")
    yield CommonQuery("smallest group's open", f"active=true^assignment_group={small}^ORDERBYDESCsys_created_on")
    yield CommonQuery("group's open by planned start", f"active=true^assignment_group={group}^ORDERBYstart_date")
    yield CommonQuery("three groups' open", f"active=true^assignment_groupIN{some}^ORDERBYDESCsys_updated_on")
    yield CommonQuery("group's all", f"assignment_group={group}^ORDERBYDESCsys_created_on")
    yield CommonQuery("open without a group", "active=true^assignment_groupISEMPTY^ORDERBYDESCsys_created_on")
    yield CommonQuery("item's open", f"active=true^cmdb_ci={life.items[3]}^ORDERBYDESCsys_created_on")
    yield CommonQuery("item's all", f"cmdb_ci={life.items[3]}^ORDERBYDESCsys_created_on")
    yield CommonQuery("service's open", f"active=true^business_service={life.services[2]}^ORDERBYDESCsys_created_on")
    yield CommonQuery("all open", "active=true^ORDERBYDESCsys_created_on")
    yield CommonQuery("everything", "ORDERBYDESCsys_created_on")


def _states(life: Life) -> Iterator[CommonQuery]:
    group = life.groups[0]
    yield CommonQuery("state by number", f"state={IMPLEMENT}^ORDERBYnumber")
    yield CommonQuery("group and open state by number", f"assignment_group={group}^state={NEW}^ORDERBYnumber")
    yield CommonQuery("group and closed", f"assignment_group={group}^state={CLOSED}^ORDERBYDESCsys_created_on")
    yield CommonQuery("closed", f"state={CLOSED}^ORDERBYDESCsys_created_on")
    yield CommonQuery("risk and type", "risk=2^type=emergency^ORDERBYDESCsys_created_on")
    yield CommonQuery("open risk and type", "active=true^risk=1^type=normal^ORDERBYDESCsys_created_on")
    yield CommonQuery("open emergencies", "active=true^type=emergency^ORDERBYDESCsys_created_on")


def _times(life: Life) -> Iterator[CommonQuery]:
    day, next_day = day_before(life, 30), day_before(life, 29)
    planned = f"start_date>={day} 00:00:00^start_date<{next_day} 00:00:00^ORDERBYstart_date"
    yield CommonQuery("planned within a day", planned)
    overlaps = f"start_date<{next_day} 00:00:00^end_date>{day} 00:00:00^ORDERBYstart_date"
    yield CommonQuery("overlaps a day", overlaps)
    yield CommonQuery("open, overlaps a day", f"active=true^{overlaps}")
    since = life.end - timedelta(hours=6)
    yield CommonQuery("created since", f"sys_created_on>={since:%F %T}^ORDERBYsys_created_on")
    yield CommonQuery("updated since", f"sys_updated_on>={life.end + timedelta(days=1):%F %T}^ORDERBYsys_updated_on")
    yield CommonQuery("closed on a day", f"closed_at>={day} 00:00:00^closed_at<{next_day} 00:00:00^ORDERBYclosed_at")


def _pipelines(life: Life) -> Iterator[CommonQuery]:
    pipeline, newest = life.pipelines[3], "ORDERBYDESCsys_created_on"
    yield CommonQuery("by pipeline", f"oauth_entity={pipeline}^{newest}")
    yield CommonQuery("by pipeline, open", f"active=true^oauth_entity={pipeline}^{newest}")
    yield CommonQuery("by repository", f"source_repository=desk/service-40^{newest}")
    number = life.changes // 3
    yield CommonQuery("by commit", f"source_commit={sys_id_of('commit', number)}")
    yield CommonQuery("by correlation ID", f"correlation_id=run-{number}")
    yield CommonQuery("by number", f"number=CHG{life.last_number - 100:07}")


def _approvals(life: Life) -> Iterator[CommonQuery]:
    waiting = "state=requested^ORDERBYDESCsys_created_on"
    yield CommonQuery("waits for a person", f"approver={life.users[10]}^{waiting}", APPROVALS)
    yield CommonQuery("waits for a group", f"group={life.groups[1]}^{waiting}", APPROVALS)
    yield CommonQuery("approvals of a change", f"sysapproval={life.sys_ids[0]}", APPROVALS)


def _texts(life: Life) -> Iterator[CommonQuery]:
    host, person = host_of(417), names_of(life)[40]
    for name, query in (
        ("word", f"123TEXTQUERY321={host}"),
        ("two words", f"123TEXTQUERY321=patch {host}"),
        ("last name", f"123TEXTQUERY321={person.split()[1]}"),
        ("full name", f"123TEXTQUERY321={person}"),
        ("most frequent first name", f"123TEXTQUERY321={FIRST_NAMES[0]}"),
        ("open changes with a word", f"active=true^123TEXTQUERY321={host}"),
        ("text in a field", f"short_descriptionLIKE{host}"),
        ("beginning of a field", "short_descriptionSTARTSWITHresize srv-0000"),
    ):
        yield CommonQuery(name, query, kind=TEXT)


def _counts(life: Life) -> Iterator[CommonQuery]:
    group = life.groups[0]
    for name, query, fields in (
        ("open by group and state", "active=true", "assignment_group,state"),
        ("group's by state", f"assignment_group={group}", "state"),
        ("group's open by person and state", f"active=true^assignment_group={group}", "assigned_to,state"),
        ("all by group and state", "", "assignment_group,state"),
        ("all by state", "", "state"),
        ("all by risk and type", "", "risk,type"),
        ("open by risk and type", "active=true", "risk,type"),
    ):
        yield CommonQuery(name, query, kind=COUNTS, stats=fields)
