"""The query arguments of lists, which make up the state of a list: users can share its URL."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from changegate.printable import typed

MAX_PAGE = 1_000_000
MAX_SEARCH_LENGTH = 100
DESCENDING = "desc"


def page_number(text: str) -> int:
    """Return a positive number from a URL, or 0 if it is invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def correlation_id(text: str) -> str:
    """Return the correlation ID that a page begins after, or an empty string if it is invalid."""
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedList:
    """The state of a list with a search, filters, a sort order, and numbered pages.

    A list is a subclass with a field for each filter. The defaults of its fields are the state without arguments.
    """

    columns: ClassVar[tuple[str, ...]]
    page_size: ClassVar[int]
    # The valid values of each filter.
    filters: ClassVar[Mapping[str, Mapping[str, str]]]

    search: str = ""
    sort: str
    is_descending: bool = False
    page: int = 1

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> Self:
        """Read the query string; invalid values are ignored."""
        chosen: dict[str, Any] = {name: arguments.get(name, "") for name in cls.filters}
        chosen = {name: value for name, value in chosen.items() if value in cls.filters[name]}
        if arguments.get("sort") in cls.columns:
            chosen |= {"sort": arguments["sort"], "is_descending": arguments.get("order") == DESCENDING}
        return cls(
            search=typed(arguments.get("search", ""))[:MAX_SEARCH_LENGTH],
            page=min(max(1, page_number(arguments.get("page", ""))), MAX_PAGE),
            **chosen,
        )

    @property
    def offset(self) -> int:
        """Return the number of records before the page."""
        return (self.page - 1) * self.page_size

    @property
    def is_filtered(self) -> bool:
        """Return whether the list leaves records out."""
        return bool(self.search) or any(getattr(self, name) for name in self.filters)

    def last_page(self, total: int) -> int:
        """Return the number of the last page of a number of records."""
        return max(1, -(-total // self.page_size))

    def sorted_by(self, name: str) -> Self:
        """Return the first page sorted by a column, in reverse if it is already sorted by it."""
        return replace(self, sort=name, is_descending=name == self.sort and not self.is_descending, page=1)

    def at(self, page: int) -> Self:
        """Return another page of the same list."""
        return replace(self, page=page)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string, without defaults."""
        plain = type(self).of_arguments({})
        arguments = {"search": self.search, **{name: getattr(self, name) for name in self.filters}}
        if (self.sort, self.is_descending) != (plain.sort, plain.is_descending):
            arguments |= {"sort": self.sort, "order": DESCENDING if self.is_descending else ""}
        if self.page > 1:
            arguments["page"] = str(self.page)
        return {name: value for name, value in arguments.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredLog:
    """The state of a list of events or tokens, newest first; the page begins after the entry with the ID `before`.

    A list is a subclass with a field for each filter.
    """

    # The filters and the maximum lengths of their texts, and the valid texts of those that are choices.
    lengths: ClassVar[Mapping[str, int]]
    choices: ClassVar[Mapping[str, Collection[str]]] = {}

    before: str = ""

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> Self:
        """Read the query string; invalid values are ignored."""
        texts = {name: typed(arguments.get(name, ""))[:length] for name, length in cls.lengths.items()}
        valid = {name: text for name, text in texts.items() if text in cls.choices.get(name, (text,))}
        return cls(**valid, before=correlation_id(arguments.get("before", "")))

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string without the page."""
        return {name: value for name in self.lengths if (value := getattr(self, name))}
