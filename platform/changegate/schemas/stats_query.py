"""The parameters of aggregate calls (docs/reference/other-apis.md#aggregate)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from changegate.errors import InputInvalid
from changegate.schemas.table_query import DisplayChoice, FieldNames, Flag, QuerySchema

# SQLite limits the depth of an expression to 1000, and ORDER BY to 2000 terms.
MAX_ITEMS = 100


class Items(fields.Field[tuple[tuple[str, ...], ...]]):
    """A comma-separated list of items, whose parts are separated by carets; raises `InputInvalid` for too many."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str, ...], ...]:
        texts = (item.strip() for item in str(value).split(","))
        items = tuple(dict.fromkeys(tuple(text.split("^")) for text in texts if text))
        if len(items) > MAX_ITEMS:
            raise InputInvalid({str(self.data_key): [f"{len(items)} items are more than {MAX_ITEMS}."]})
        return items


def _fields_of(name: str, what: str) -> FieldNames:
    return FieldNames(data_key=name, load_default=(), metadata={"description": f"{what}, comma-joined."})


class StatsQuerySchema(QuerySchema):
    """`sysparm_*` parameters of the Aggregate API."""

    display_value = DisplayChoice(
        data_key="sysparm_display_value",
        load_default="false",
        metadata={"description": "Stored values of groups (false), display values (true), or both (all)."},
    )
    counts = Flag(data_key="sysparm_count", load_default=False, metadata={"description": "Count the records."})
    avg = _fields_of("sysparm_avg_fields", "Fields to average")
    min = _fields_of("sysparm_min_fields", "Fields to find the smallest value of")
    max = _fields_of("sysparm_max_fields", "Fields to find the largest value of")
    sum = _fields_of("sysparm_sum_fields", "Fields to sum")
    group_by = _fields_of("sysparm_group_by", "Fields to group by, also dot-walked")
    having = Items(
        data_key="sysparm_having",
        load_default=(),
        metadata={"description": "Conditions on groups, separated by commas: `function^field^operator^value`."},
    )
    order_by = Items(
        data_key="sysparm_order_by",
        load_default=(),
        metadata={"description": "Sort order of groups: `count`, `field` or `function^field`, with `^DESC`."},
    )
