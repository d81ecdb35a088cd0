"""Search, filter, sort order, and page of the list of changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from changegate.models.change_request import CHANGE_STATES
from changegate.printable import typed
from changegate.services.tables.queries.encoded_query import AllOf, Condition, EncodedQuery, Order

PAGE_SIZE = 20
MAX_PAGE = 1_000_000
MAX_SEARCH_LENGTH = 100
COLUMNS = (
    "number",
    "short_description",
    "type",
    "state",
    "priority",
    "assignment_group",
    "requested_by",
    "sys_created_on",
)
DESCENDING = "desc"
SEARCHED = ("number", "short_description")


@dataclass(frozen=True, slots=True)
class ChangeList:
    """The state of the list; it is stored in the URL, so that users can share it."""

    search: str = ""
    state: str = ""
    sort: str = "number"
    is_descending: bool = True
    page: int = 1

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> "ChangeList":
        """Read the query string; invalid values are ignored."""
        state, sort, page = (arguments.get(name, "") for name in ("state", "sort", "page"))
        is_sorted, is_page = sort in COLUMNS, page.isascii() and page.isdigit() and len(page) < 10
        return cls(
            search=typed(arguments.get("search", ""))[:MAX_SEARCH_LENGTH],
            state=state if state in CHANGE_STATES else "",
            sort=sort if is_sorted else cls().sort,
            is_descending=arguments.get("order") == DESCENDING if is_sorted else cls().is_descending,
            page=min(max(1, int(page)), MAX_PAGE) if is_page else 1,
        )

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

    @property
    def offset(self) -> int:
        """Return the number of records before the page."""
        return (self.page - 1) * PAGE_SIZE

    def sorted_by(self, name: str) -> "ChangeList":
        """Return the first page sorted by a column, in reverse if it is already sorted by it."""
        return replace(self, sort=name, is_descending=name == self.sort and not self.is_descending, page=1)

    def at(self, page: int) -> "ChangeList":
        """Return another page of the same list."""
        return replace(self, page=page)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string, without defaults."""
        plain = ChangeList()
        arguments = {"search": self.search, "state": self.state}
        if (self.sort, self.is_descending) != (plain.sort, plain.is_descending):
            arguments |= {"sort": self.sort, "order": DESCENDING if self.is_descending else ""}
        if self.page > 1:
            arguments["page"] = str(self.page)
        return {name: value for name, value in arguments.items() if value}
