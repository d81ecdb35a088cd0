"""The parameters of Table API calls (rest_api.md §1.2)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load

DEFAULT_LIMIT = 10_000
MAX_OFFSET = 2**31 - 1


class Flag(fields.Field[bool]):
    """A boolean as clients spell it: any case, and anything unknown is false."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        return str(value).strip().lower() == "true"


class Count(fields.Field[int]):
    """A whole number; what is none, or negative, counts as absent."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        text = str(value).strip()
        fallback: int = self.load_default
        return min(int(text), MAX_OFFSET) if text.isascii() and text.isdigit() and len(text) < 20 else fallback


class DisplayChoice(fields.Field[str]):
    """One of false, true and all."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = str(value).strip().lower()
        return text if text in {"true", "all"} else "false"


class FieldNames(fields.Field[tuple[str, ...]]):
    """A comma-joined list of field names."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        names = (name.strip() for name in str(value).split(","))
        return tuple(dict.fromkeys(name for name in names if name))


class TableQuerySchema(Schema):
    """`sysparm_*` parameters; an empty value is the same as an absent one, and unknown ones are ignored."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    query = fields.String(data_key="sysparm_query", load_default="")
    display_value = DisplayChoice(data_key="sysparm_display_value", load_default="false")
    exclude_reference_link = Flag(data_key="sysparm_exclude_reference_link", load_default=False)
    field_names = FieldNames(data_key="sysparm_fields", load_default=())
    limit = Count(data_key="sysparm_limit", load_default=DEFAULT_LIMIT)
    offset = Count(data_key="sysparm_offset", load_default=0)
    suppress_pagination_header = Flag(data_key="sysparm_suppress_pagination_header", load_default=False)

    @pre_load
    def drop_empty(self, data: Mapping[str, str], **_kwargs: Any) -> dict[str, str]:
        """Leave out empty values: real clients send them on every call."""
        return {name: value for name, value in data.items() if value != ""}
