"""The Aggregate API: docs/reference/other-apis.md#aggregate."""

from typing import Any

from flask import Blueprint, Response

from changegate.api.auth import require_caller, require_scope
from changegate.api.envelopes import api_response
from changegate.api.negotiation import require_acceptable
from changegate.api.tinyurl import restore_query
from changegate.schemas.stats_query import StatsQuerySchema
from changegate.schemas.table_query import SYSPARM, parse_parameters
from changegate.services.tables.display.shapes import DisplayValue
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.queries.name_values import narrow_query
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.figures import FUNCTIONS
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

REST_API = "now/stats"
bp = Blueprint("stats", __name__)
bp.before_request(require_caller)
bp.before_request(require_acceptable)
bp.before_request(restore_query)
_schema = StatsQuerySchema()


@bp.get("/<table_name>")
def stats_view(table_name: str) -> Response:
    """Return the figures of the matching records, in total or by group."""
    table = get_table(table_name)
    who = require_scope(REST_API, table.name)
    sent = parse_parameters(current_request().query_string)
    params = _schema.load(sent)
    filters = {name: value for name, value in sent.items() if not name.startswith(SYSPARM)}
    query = narrow_query(parse_encoded_query(params["query"]), filters)
    return api_response({"result": aggregate_records(table, who, query, _aggregation(params))})


def _aggregation(params: dict[str, Any]) -> Aggregation:
    return Aggregation(
        counts=params["counts"],
        fields={function: params[function] for function in FUNCTIONS},
        group_by=params["group_by"],
        having=params["having"],
        order_by=params["order_by"],
        display_value=DisplayValue(params["display_value"]),
    )
