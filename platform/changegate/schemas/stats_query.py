"""The parameters of aggregate calls (rest_api.md §3.1)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load

from changegate.schemas.table_query import DisplayChoice, FieldNames, Flag


class Items(fields.Field[tuple[tuple[str, ...], ...]]):
    """A comma-joined list of items whose parts are joined by carets."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str, ...], ...]:
        items = (item.strip() for item in str(value).split(","))
        return tuple(dict.fromkeys(tuple(item.split("^")) for item in items if item))


class StatsQuerySchema(Schema):
    """`sysparm_*` parameters; an empty value is the same as an absent one, and unknown ones are ignored."""

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    query = fields.String(data_key="sysparm_query", load_default="")
    display_value = DisplayChoice(data_key="sysparm_display_value", load_default="false")
    counts = Flag(data_key="sysparm_count", load_default=False)
    avg = FieldNames(data_key="sysparm_avg_fields", load_default=())
    min = FieldNames(data_key="sysparm_min_fields", load_default=())
    max = FieldNames(data_key="sysparm_max_fields", load_default=())
    sum = FieldNames(data_key="sysparm_sum_fields", load_default=())
    group_by = FieldNames(data_key="sysparm_group_by", load_default=())
    having = Items(data_key="sysparm_having", load_default=())
    order_by = Items(data_key="sysparm_order_by", load_default=())

    @pre_load
    def drop_empty(self, data: Mapping[str, str], **_kwargs: Any) -> dict[str, str]:
        """Leave out empty values: real clients send them on every call."""
        return {name: value for name, value in data.items() if value != ""}
