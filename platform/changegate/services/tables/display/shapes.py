"""The parameters of a response's records (docs/reference/table-api.md#parameters)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ShownFields = tuple[str, ...]


class DisplayValue(StrEnum):
    """The three values of `sysparm_display_value`."""

    ACTUAL = "false"
    DISPLAY = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Shape:
    """The form in which a caller wants records. `link_base` is the address with which reference links start.

    With `is_typed`, which requires `DisplayValue.ALL`, the value of an integer or boolean is one in JSON, and a date or
    date-time has its local time in `display_value_internal` as well. `when_empty` has the form of single fields while
    they are empty.
    """

    link_base: str
    display_value: DisplayValue = DisplayValue.ACTUAL
    exclude_reference_link: bool = False
    fields: ShownFields = ()
    is_typed: bool = False
    when_empty: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shows_names(self) -> bool:
        """Return whether display values are wanted, in addition to stored values or instead of them."""
        return self.display_value is not DisplayValue.ACTUAL
