"""The parameters of the lists of the Change Management API (docs/change-management-api.md#lists)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load

from changegate.schemas.table_query import MAX_LIMIT, MAX_OFFSET, SYSPARM, Count, QuerySchema, parse_parameters

CHANGE_LIST_LIMIT = 500
ORDER, TEXT_SEARCH = "order", "textSearch"
# A write takes its fields from the parameters as well, except those that have a meaning of their own.
ENCRYPTED_FIELDS = "encrypted_fields"


@dataclass(frozen=True, slots=True)
class ChangeParameters:
    """The parameters of a list; `filters` are the `field=value` pairs."""

    query: str
    limit: int
    offset: int
    order: str
    text_search: str
    filters: Mapping[str, str]


class ChangeQuerySchema(QuerySchema):
    """The parameters of a list other than `field=value` pairs. The descriptions are part of the OpenAPI document."""

    limit = Count(
        data_key="sysparm_limit",
        load_default=CHANGE_LIST_LIMIT,
        most=MAX_LIMIT,
        metadata={"description": f"Maximum number of records, up to {MAX_LIMIT}."},
    )
    offset = Count(
        data_key="sysparm_offset",
        load_default=0,
        most=MAX_OFFSET,
        metadata={"description": "Number of records to skip."},
    )
    order = fields.String(data_key=ORDER, load_default="", metadata={"description": "The field to sort by."})
    text_search = fields.String(
        data_key=TEXT_SEARCH,
        load_default="",
        metadata={"description": "Words that each record must contain in one of its text fields."},
    )

    @post_load(pass_original=True)
    def complete(self, data: dict[str, Any], original: Mapping[str, str], **_kwargs: Any) -> ChangeParameters:
        """Add the filters by field."""
        filters = {
            name: value
            for name, value in original.items()
            if value and name not in (ORDER, TEXT_SEARCH) and not name.startswith(SYSPARM)
        }
        return ChangeParameters(**data, filters=filters)


_schema = ChangeQuerySchema()


def load_list_parameters(query_string: bytes) -> ChangeParameters:
    """Return the parameters of a list; of a repeated parameter, the last value counts.

    Raises `RequestUnreadable` for too many parameters.
    """
    loaded: ChangeParameters = _schema.load(parse_parameters(query_string))
    return loaded


def fields_of_parameters(query_string: bytes) -> dict[str, str]:
    """Return the fields of a write that are sent as parameters. Raises `RequestUnreadable` for too many parameters."""
    sent = parse_parameters(query_string).items()
    return {name: value for name, value in sent if name != ENCRYPTED_FIELDS and not name.startswith(SYSPARM)}
