"""Search, filter, sort order, and page of the list of changes."""

from dataclasses import dataclass
from typing import ClassVar

from changegate.console.list_arguments import SortedList
from changegate.models.change_request import CHANGE_STATES
from changegate.services.tables.queries.encoded_query import AllOf, Condition, EncodedQuery, Order

SEARCHED = ("number", "short_description")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeList(SortedList):
    """The state of the list of changes."""

    columns: ClassVar = (
        "number",
        "short_description",
        "type",
        "state",
        "priority",
        "assignment_group",
        "requested_by",
        "sys_created_on",
    )
    page_size: ClassVar = 20
    filters: ClassVar = {"state": CHANGE_STATES}

    state: str = ""
    sort: str = "number"
    is_descending: bool = True

    @property
    def query(self) -> EncodedQuery:
        """Return the conditions. They are built, not parsed, so that user input cannot become an operator."""
        chains: list[tuple[Condition, ...]] = []
        if self.search:
            chains.append(tuple(Condition(name, "LIKE", self.search) for name in SEARCHED))
        if self.state:
            chains.append((Condition("state", "=", self.state),))
        alternatives: tuple[AllOf, ...] = (tuple(chains),) if chains else ()
        return EncodedQuery(alternatives, (Order(self.sort, self.is_descending),))
