"""Files of the process for tests, and what is stored after they were applied."""

from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.extensions import db
from changegate.services.access.caller import Caller
from changegate.services.process_documents.documents import read_documents
from changegate.services.process_documents.kinds import KINDS, all_kinds
from changegate.services.process_files.applying import apply_records
from changegate.services.process_files.comparing import Edit
from changegate.services.process_files.reading import read_process_file
from changegate.services.process_files.rendering import Renderer
from tests.support.people import ROOT

MODEL = """
models:
  - name: Network
    active: true
    record_preset: type=normal^EQ
    states:
      - {state_value: -5, state_label: New, initial: true}
      - {state_value: -4, state_label: Assess, mandatory_fields: assignment_group}
      - {state_value: 3, state_label: Closed}
    transitions:
      - name: Request approval
        from_state: New
        to_state: Assess
      - name: Approved
        from_state: Assess
        to_state: Closed
        automatic_transition: true
        conditions:
          - name: Approved
            condition: approval=approved
            description: Wait until the change is approved.
"""
POLICY = """
policies:
  - name: Night shift
    active: true
    order: 10
    state: -4
    chg_model: Network
    condition: type=normal^risk=2
    rules:
      - name: Peers
        approver_source: group
        group: CAB Approval
        wait_for: count
        value: 2
      - name: Administrator
        approver_source: users
        users: [admin]
"""
SCHEDULES = """
freezes:
  - name: End of the year
    active: true
    time_zone: Europe/Berlin
    enforcement: soft
    override_role: itil
    assignment_groups: [CAB Approval]
    change_types: normal,emergency
    condition: riskIN2,3
    spans:
      - name: Holidays
        start_date_time: 2026-12-24 00:00:00
        end_date_time: 2027-01-02 00:00:00
        repeat_type: yearly
      - type: exclude
        start_date_time: 2026-12-28 08:00:00
        end_date_time: 2026-12-28 18:00:00
maintenance:
  - name: Nights
    time_zone: Etc/UTC
    spans:
      - start_date_time: 2026-01-05 22:00:00
        end_date_time: 2026-01-06 04:00:00
        repeat_type: weekly
        days_of_week: "12345"
        repeat_until: 2030-01-31
"""
PLANNING = """
risk_conditions:
  - name: Databases
    order: 5
    condition: category=Software^short_descriptionLIKEdatabase
    risk: 2
templates:
  - name: Restart a web server
    template: short_description=Restart a web server^assignment_group=CAB Approval^EQ
    mandatory_fields: cmdb_ci
    read_only_fields: short_description
"""
PROCESS = MODEL + POLICY


def apply(text: str, caller: Caller = ROOT) -> list[Edit]:
    return apply_records(read_process_file(text, shown_as="process.yaml"), caller)


def actions(text: str) -> list[tuple[str, str]]:
    return [(edit.wanted.name, edit.action) for edit in apply(text)]


def export(*, shipped_in_full: bool = False) -> str:
    documents = {kind: read_documents(kind) for kind in KINDS}
    return Renderer(ROOT).render_file(documents, shipped_in_full=shipped_in_full)


def stored_rows() -> list[tuple[str, Any]]:
    """Return every row of every table of the process, with the name of the table and its stamps."""
    tables = {kind.table_name: kind.table.source for kind in all_kinds()}
    rows = ((name, connection().execute(select(table).order_by(table.c.sys_id))) for name, table in tables.items())
    return [(name, row) for name, of_table in rows for row in of_table]


def dump_database() -> dict[str, list[Any]]:
    """Return every row of every table of the database, sorted."""
    tables = db.metadata.sorted_tables
    return {table.name: sorted(map(repr, connection().execute(select(table)).all())) for table in tables}
