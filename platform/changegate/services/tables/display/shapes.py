"""The parameters of a response's records (docs/reference/table-api.md#parameters)."""

from dataclasses import dataclass
from enum import StrEnum

ShownFields = tuple[str, ...]


class DisplayValue(StrEnum):
    """The three values of `sysparm_display_value`."""

    ACTUAL = "false"
    DISPLAY = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Shape:
    """The form in which a caller wants records. `link_base` is the address with which reference links start."""

    link_base: str
    display_value: DisplayValue = DisplayValue.ACTUAL
    exclude_reference_link: bool = False
    fields: ShownFields = ()

    @property
    def shows_names(self) -> bool:
        """Return whether display values are wanted, in addition to stored values or instead of them."""
        return self.display_value is not DisplayValue.ACTUAL
