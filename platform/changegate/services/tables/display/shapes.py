"""How a caller wants records: docs/reference/table-api.md#parameters."""

from dataclasses import dataclass
from enum import StrEnum

Fields = tuple[str, ...]


class DisplayValue(StrEnum):
    """The three answers to `sysparm_display_value`."""

    ACTUAL = "false"
    DISPLAY = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a caller wants records: `link_base` is the address that reference links start with."""

    link_base: str
    display_value: DisplayValue = DisplayValue.ACTUAL
    exclude_reference_link: bool = False
    fields: Fields = ()

    @property
    def shows_names(self) -> bool:
        """Tell whether names and labels are wanted, beside or instead of what is stored."""
        return self.display_value is not DisplayValue.ACTUAL
