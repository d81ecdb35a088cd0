"""The kinds of documents of the change process: their tables, and the rows that belong to a record.

A new kind is an entry of `KINDS`; reading, comparing, applying, exporting, and the versions follow from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

from sqlalchemy.sql.schema import ScalarElementColumnDefault

from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.values import render_value

SYS_ID, NAME, ACTIVE, ORDER = "sys_id", "name", "active", "order"
# Set in a shipped record, which is read-only.
SHIPPED = "sys_policy"


@dataclass(frozen=True, eq=False)
class DocumentKind:
    """Records of a table, or the rows that belong to one of them.

    - `key` is the key of their list in a file, `noun` names one of them.
    - `identity` are the fields by which a row is recognized among those of the same record.
    - `owner` is the field with the record that a row belongs to, empty for a record.
    - `siblings` maps fields that refer to rows of another list of the same record to the key of that list.
    - `label` is a field by which such a row may be named instead of its identity.
    - `left_out` are writable fields that are not part of a document.
    - `pauses` is set if a record must be inactive while its rows are written.
    - `history_table` is the table under whose name the history has the record, if it is another one.
    """

    key: str
    noun: str
    table_name: str
    identity: tuple[str, ...] = (NAME,)
    owner: str = ""
    parts: tuple["DocumentKind", ...] = ()
    siblings: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    left_out: tuple[str, ...] = ()
    pauses: bool = False
    history_table: str = ""

    @property
    def table(self) -> Table:
        """The served table."""
        return get_table(self.table_name)

    def part(self, key: str) -> "DocumentKind":
        """Return the kind of the rows in a list."""
        return next(part for part in self.parts if part.key == key)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of a document, in the order of the model."""
        entries, hidden = self.table.entries, {self.owner, *self.left_out}
        return tuple(name for name in self.table.columns if not entries[name].is_read_only and name not in hidden)

    @cached_property
    def defaults(self) -> Mapping[str, str]:
        """The texts of the defaults of fields; those of other fields are empty."""
        columns, entries = self.table.source.c, self.table.entries
        defaults = {name: columns[name].default for name in self.fields}
        scalars = {name: each for name, each in defaults.items() if isinstance(each, ScalarElementColumnDefault)}
        return {name: render_value(entries[name], default.arg) for name, default in scalars.items()}


_STATES = DocumentKind("states", "state", "sttrm_state", ("state_value",), "sttrm_model", label="state_label")
_CONDITIONS = DocumentKind("conditions", "condition", "sttrm_transition_condition", owner="transition")
_TRANSITIONS = DocumentKind(
    "transitions",
    "transition",
    "sttrm_state_transition",
    ("from_state", "to_state", "automatic_transition", NAME),
    "sttrm_model",
    parts=(_CONDITIONS,),
    siblings={"from_state": "states", "to_state": "states"},
)
_RULES = DocumentKind("rules", "rule", "chg_approval_def", owner="policy")
_SPANS = DocumentKind("spans", "span", "cmn_schedule_span", (NAME, "type"), owner="schedule", label="start_date_time")
_schedules = partial(DocumentKind, parts=(_SPANS,), history_table="cmn_schedule")
# In the order in which they refer to each other: a record may be named by those after it.
KINDS = (
    # `copied_from` fills a new model with the rows of another one; a document has all rows.
    DocumentKind("models", "model", "chg_model", parts=(_STATES, _TRANSITIONS), left_out=("copied_from",), pauses=True),
    DocumentKind("freezes", "freeze", "cmn_schedule_blackout", parts=(_SPANS,), history_table="cmn_schedule"),
    DocumentKind(
        "maintenance", "maintenance schedule", "cmn_schedule_maintenance", parts=(_SPANS,), history_table="cmn_schedule"
    ),
    DocumentKind("risk_conditions", "risk condition", "risk_conditions"),
    DocumentKind("templates", "template", "std_change_record_producer"),
    DocumentKind("policies", "policy", "chg_policy_approval", parts=(_RULES,)),
)


def kinds_in_history(table_name: str) -> list[DocumentKind]:
    """Return the kinds whose records the history has under the name of a table."""
    return [kind for kind in KINDS if (kind.history_table or kind.table_name) == table_name]


def all_kinds(kinds: tuple[DocumentKind, ...] = KINDS) -> Iterator[DocumentKind]:
    """Yield kinds, and those of the rows that belong to their records."""
    for kind in kinds:
        yield kind
        yield from all_kinds(kind.parts)
