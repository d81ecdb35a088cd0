"""What pages show about an approval: its content, who else is asked, earlier answers, and what has changed since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from changegate.console.local_times import format_moment, in_words
from changegate.errors import RecordNotFound
from changegate.extensions import now
from changegate.models.base import version_of
from changegate.models.change_request import CHANGE_STATES
from changegate.models.task import APPROVALS
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import labels_of
from changegate.services.approvals.rounds import TABLE
from changegate.services.process.approval_details import ApprovalDetails, get_details, list_waiting
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import equal_query
from changegate.services.tables.reading.records import get_row, read_page
from changegate.services.tables.registry import get_table
from changegate.services.users.roles import ADMIN

CHANGES = "change_request"
LONG = 60
# What an approval is about that no policy requested: fields of its change, or its own if the user may not read that.
OF_CHANGE: tuple[str, ...] = (
    *("description", "justification", "implementation_plan", "risk_impact_analysis", "backout_plan", "test_plan"),
    *("start_date", "end_date", "risk", "cmdb_ci", "requested_by"),
)
OF_APPROVAL: tuple[str, ...] = (
    "sysapproval",
    "source_table",
    "approver",
    "due_date",
    "approval_source",
    "comments",
    "sys_created_by",
)


@dataclass(frozen=True, slots=True)
class CoveredField:
    """A field that an approval covers, as its approver reads it."""

    label: str
    text: str

    @property
    def is_long(self) -> bool:
        """Return whether the text takes the whole width."""
        return len(self.text) > LONG or "\n" in self.text


@dataclass(frozen=True, slots=True)
class ApprovalBlock:
    """An approval with the names of the people in it. `reads_change` is whether the user may open its change.

    `by_hand` is what is asked by an approval that no policy requested, which covers nothing.
    """

    details: ApprovalDetails
    names: Mapping[str, str]
    reads_change: bool
    is_own: bool
    may_delegate: bool
    by_hand: Sequence[CoveredField] = ()

    @property
    def sys_id(self) -> str:
        """The sys_id of the approval."""
        return str(self.details.row["sys_id"])

    @property
    def version(self) -> str:
        """The version of the approval, which every edit of its content changes."""
        return version_of(self.details.row["sys_mod_count"], self.details.row["sys_updated_on"])

    @property
    def number(self) -> str:
        """The number of the change."""
        return str(self.details.asked.change["number"]) if self.details.asked else ""

    @property
    def kind_of_change(self) -> str:
        """The label of the type of the change."""
        kind = str(self.details.asked.change["type"] or "") if self.details.asked else ""
        return str(find_choices(CHANGES, ["type"]).get("type", {}).get(kind, kind))

    @property
    def state(self) -> str:
        """The label of the approval's state."""
        return APPROVALS[self.details.row["state"]] or ""

    @property
    def stage(self) -> str:
        """The label of the state for which the approval is requested."""
        return CHANGE_STATES.get(str(self.details.row["stage"]), "")

    @property
    def waiting(self) -> str:
        """How long ago the approval was requested."""
        return in_words(max(timedelta(), now() - self.details.row["sys_created_on"]))

    @property
    def covered(self) -> Sequence[CoveredField]:
        """The fields that the approval covers."""
        entries, texts = get_table(CHANGES).entries, self.details.covered
        labels = dict(zip(texts, labels_of(texts), strict=True))
        kinds = {name: entries[name].kind for name in texts if name in entries}
        return [
            CoveredField(labels[name], _local_text(text) if kinds.get(name) == "glide_date_time" else text)
            for name, text in texts.items()
        ]

    def name_of(self, user: str | None) -> str:
        """Return the name of a user."""
        return self.names.get(user or "", "a deleted user")


def block_of(details: ApprovalDetails, caller: Caller) -> ApprovalBlock:
    """Return the block of an approval."""
    names = find_names({"sys_user": details.people}, caller).get("sys_user", {})
    reads = details.asked is not None and may_read_change(details.asked.sys_id, caller)
    is_own = details.row["approver"] == caller.sys_id
    by_hand = () if details.row["asked_by_policy"] else _asked_by_hand(details, reads, caller)
    return ApprovalBlock(details, names, reads, is_own, is_own or ADMIN in caller.roles, by_hand)


def get_block(sys_id: str, caller: Caller) -> ApprovalBlock:
    """Return the block of an approval. Raises `RecordNotFound`."""
    return block_of(get_details(sys_id, caller), caller)


def blocks_of_change(change: Mapping[str, object], caller: Caller) -> list[ApprovalBlock]:
    """Return the blocks of the approvals of a change that the caller may answer."""
    return [block_of(each, caller) for each in list_waiting(change, caller)]


def may_read_change(sys_id: str, caller: Caller) -> bool:
    """Return whether the caller may open a change."""
    try:
        get_row(get_table(CHANGES), caller, sys_id, ("sys_id",))
    except RecordNotFound:
        return False
    return True


def _asked_by_hand(details: ApprovalDetails, reads_change: bool, caller: Caller) -> list[CoveredField]:
    if reads_change and details.asked:
        table, sys_id, names = get_table(CHANGES), details.asked.sys_id, OF_CHANGE
    else:
        table, sys_id, names = get_table(TABLE), str(details.row["sys_id"]), OF_APPROVAL
    shape = Shape("", DisplayValue.DISPLAY, exclude_reference_link=True, fields=names)
    # Empty if the record was deleted in the meantime.
    records = read_page(table, caller, equal_query("sys_id", sys_id), shape, limit=1, offset=0).records
    return [
        CoveredField(table.entries[name].label, format_moment(record[name]))
        for record in records
        for name in names
        if record[name]
    ]


def _local_text(text: str) -> str:
    return format_moment(datetime.fromisoformat(text).replace(tzinfo=UTC))
