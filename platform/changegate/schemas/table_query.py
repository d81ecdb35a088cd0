"""The parameters of Table API calls (docs/reference/table-api.md#parameters)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from marshmallow import EXCLUDE, Schema, fields, post_load, pre_load

from changegate.errors import RequestUnreadable

DEFAULT_LIMIT = 10_000
# Responses are built in memory. For more records, callers follow the Link header.
MAX_LIMIT = 10_000
MAX_OFFSET = 2**31 - 1
MAX_QUERY_PARAMETERS = 1000
SYSPARM = "sysparm_"
# Alternative spelling in a ServiceNow tutorial.
SHORT_EXCLUDE_LINK = "sysparm_exclude_ref_link"
EXCLUDE_LINK = "sysparm_exclude_reference_link"
# Parsed query strings of up to this many bytes are cached, because callers repeat them.
LONGEST_CACHED_QUERY = 512


@dataclass(frozen=True, slots=True)
class TableParameters:
    """The parameters of a Table API call; `filters` are the `field=value` pairs."""

    query: str
    display_value: str
    exclude_reference_link: bool
    field_names: tuple[str, ...]
    limit: int
    offset: int
    after: str
    no_count: bool
    suppress_pagination_header: bool
    input_display_value: bool
    filters: Mapping[str, str] = field(default_factory=dict)


class Flag(fields.Field[bool]):
    """A boolean in any case; unknown values are false."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        return str(value).strip().lower() == "true"


class Count(fields.Field[int]):
    """An integer of up to `most`; a negative or invalid value counts as absent."""

    def __init__(self, *, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        text = str(value).strip()
        fallback: int = self.load_default
        return min(int(text), self._most) if text.isascii() and text.isdigit() and len(text) < 20 else fallback


class DisplayChoice(fields.Field[str]):
    """One of false, true, and all."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = str(value).strip().lower()
        return text if text in {"true", "all"} else "false"


class FieldNames(fields.Field[tuple[str, ...]]):
    """A comma-separated list of field names."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        names = (name.strip() for name in str(value).split(","))
        return tuple(dict.fromkeys(name for name in names if name))


class ParameterSchema(Schema):
    """A schema in which empty values count as absent, and unknown parameters are ignored."""

    class Meta:
        """Ignore unknown parameters."""

        unknown = EXCLUDE

    @pre_load
    def drop_empty(self, data: Mapping[str, str], **_kwargs: Any) -> dict[str, str]:
        """Leave out empty values: real clients send them on every call."""
        return {name: value for name, value in data.items() if value != ""}


class QuerySchema(ParameterSchema):
    """The parameters of every call that selects records."""

    query = fields.String(data_key="sysparm_query", load_default="", metadata={"description": "An encoded query."})


class TableQuerySchema(QuerySchema):
    """`sysparm_*` parameters of the Table API.

    `sysparm_view`, `sysparm_query_category`, and `sysparm_query_no_domain` are ignored: there is one view, one replica,
    and one domain. The descriptions are part of the OpenAPI document.
    """

    display_value = DisplayChoice(
        data_key="sysparm_display_value",
        load_default="false",
        metadata={"description": "Stored values (false), display values (true), or both (all)."},
    )
    exclude_reference_link = Flag(
        data_key=EXCLUDE_LINK, load_default=False, metadata={"description": "Exclude links from references."}
    )
    field_names = FieldNames(
        data_key="sysparm_fields",
        load_default=(),
        metadata={"description": "Fields to return, separated by commas, also dot-walked; by default all fields."},
    )
    limit = Count(
        data_key="sysparm_limit",
        load_default=DEFAULT_LIMIT,
        most=MAX_LIMIT,
        metadata={"description": f"Maximum number of records, up to {MAX_LIMIT}."},
    )
    offset = Count(
        data_key="sysparm_offset",
        load_default=0,
        most=MAX_OFFSET,
        metadata={"description": "Number of records to skip."},
    )
    after = fields.String(
        data_key="sysparm_after",
        load_default="",
        metadata={"description": "The place where a page begins, from the link to the next page; takes precedence."},
    )
    no_count = Flag(
        data_key="sysparm_no_count",
        load_default=False,
        metadata={
            "description": "Do not count the matching records: exclude X-Total-Count and the link to the last page."
        },
    )
    suppress_pagination_header = Flag(
        data_key="sysparm_suppress_pagination_header",
        load_default=False,
        metadata={"description": "Exclude the Link header."},
    )
    input_display_value = Flag(
        data_key="sysparm_input_display_value",
        load_default=False,
        metadata={"description": "Interpret input as display values first: labels of choices, names of references."},
    )

    @pre_load
    def drop_empty(self, data: Mapping[str, str], **_kwargs: Any) -> dict[str, str]:
        """Leave out empty values, and accept the alternative spelling."""
        sent: dict[str, str] = super().drop_empty(data)
        if SHORT_EXCLUDE_LINK in sent:
            sent.setdefault(EXCLUDE_LINK, sent[SHORT_EXCLUDE_LINK])
        return sent

    @post_load(pass_original=True)
    def complete(self, data: dict[str, Any], original: Mapping[str, str], **_kwargs: Any) -> TableParameters:
        """Add the filters by field."""
        filters = {name: value for name, value in original.items() if value and not name.startswith(SYSPARM)}
        return TableParameters(**data, filters=filters)


_schema = TableQuerySchema()


def load_parameters(query_string: bytes) -> TableParameters:
    """Return the parameters of a query string; of a repeated parameter, the last value counts.

    Raises `RequestUnreadable` for too many parameters.
    """
    if len(query_string) <= LONGEST_CACHED_QUERY:
        return _remembered(query_string)
    return _load(query_string)


def parse_parameters(query_string: bytes) -> dict[str, str]:
    """Return the parameters as text; invalid UTF-8 becomes replacement characters."""
    try:
        pairs = parse_qsl(
            query_string.decode("utf-8", "replace"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError:
        raise RequestUnreadable(f"More than {MAX_QUERY_PARAMETERS} parameters") from None
    return dict(pairs)


def _load(query_string: bytes) -> TableParameters:
    loaded: TableParameters = _schema.load(parse_parameters(query_string))
    return loaded


_remembered = lru_cache(maxsize=1024)(_load)
